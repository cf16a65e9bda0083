import { beforeAll, describe, expect, test } from "vitest";
import { insertInboxes, insertMessages, reportedAt } from "../../functions/rows.ts";
import { usePlannedDatabase } from "./database.ts";
import { type Executed, execute, planModes, statementOf } from "./plans.ts";

const STALE = 100;

// 100,000 inboxes that report, 100 of them stale; one message for each of 30,000, of which those of 30 stale ones and
// of 30 others are leased.
const database = usePlannedDatabase(async ({ sql }) => {
  const silent = "case when n % 1000 = 0 then interval '5 min' else make_interval(secs => n % 60) end";
  await insertInboxes({ sql }, 100_000, reportedAt(`(now() - ${silent})`));
  await insertMessages({ sql }, "", 30_000, { seq: "n" });
  await sql(`
    update cams.messages set recipient_address = 'a' || seq,
      lease_token = case when seq % 500 = 0 then gen_random_uuid() end,
      leased_at = case when seq % 500 = 0 then now() end,
      available_at = case when seq % 500 = 0 then now() + interval '1 h' else now() end`);
});

describe.each(["before any statistics", "with statistics"])("of 100,000 inboxes 100 are stale, %s:", (when) => {
  beforeAll(async () => {
    if (when === "with statistics") await database.sql("analyze cams.agent_inboxes, cams.messages");
  });

  test.each(planModes)("the sweep looks at the stale, and at twice as many for its brake (%s)", async (mode) => {
    const executed = await execute(database.url, await statementOf((repo) => repo.sweep.outlook()), mode);
    expectRows(executed, "agent_inboxes", [STALE, 2 * STALE]);
    expect(executed.indexes, executed.plan).toContain("agent_inboxes_sweep");
  });

  test.each(planModes)("the sweep marks the stale and looks at no other (%s)", async (mode) => {
    const executed = await execute(database.url, await statementOf((repo) => repo.sweep.markStale(1000)), mode);
    expectRows(executed, "agent_inboxes", [STALE, STALE]);
    expect(executed.indexes, executed.plan).toContain("agent_inboxes_sweep");
  });

  test.each(planModes)("what they have in their hands is taken back without a look at others' (%s)", async (mode) => {
    const silent = Array.from({ length: STALE }, (_, n) => `a${(n + 1) * 1000}`);
    const marked = { seen: STALE, suspected: 0, silent };
    const statement = await statementOf((repo) => repo.sweep.markStale(1000), [marked]);
    expectRows(await execute(database.url, statement, mode), "messages", [30, 30]);
  });
});

/** Each scan of the table looked at so many rows, none was thrown away after it was read. */
function expectRows(executed: Executed, table: string, rows: number[]): void {
  expect(
    executed
      .scansOf(table)
      .map((scan) => scan.rows)
      .sort((a, b) => a - b),
    executed.plan,
  ).toEqual(rows);
}
