import { beforeAll, describe, expect, test } from "vitest";
import type { Repository } from "../../../shared/repository/index.ts";
import { insertInboxes, insertMessages, reportedAt } from "../../functions/rows.ts";
import { type Planned, usePlannedDatabase } from "./database.ts";
import { execute, planModes, statementOf } from "./plans.ts";

const TOKEN = "01a1fd83-d8b4-7fad-95e3-1490fdf5ee05.83bc8267-8b06-437a-b0aa-085558a361d2";
const ID = TOKEN.slice(0, 36);
const CLAIM = { maxMessages: 10, leaseSeconds: 60 };
const NONE_ENDED = { expired: 0, deadLettered: 0 };

/**
 * 5,000 inboxes with a queued message each; `deep` with 20,000, half of them delayed. With lines: each of the queued has
 * a key, a leased one stands beside it, and `line` has 10,000 of one key, the first of them leased.
 */
async function fill({ sql }: Planned, lines: boolean): Promise<void> {
  const leased = { lease_token: "gen_random_uuid()", leased_at: "now()", available_at: "now() + interval '1 h'" };
  const delayed = "now() + case when n % 2 = 0 then interval '1 day' else interval '0' end";
  await insertInboxes({ sql }, 5000, reportedAt("now()"));
  for (const address of ["deep", "line", "idle"])
    await insertInboxes({ sql }, 1, { ...reportedAt("now()"), ai_agent_address: `'${address}'` });
  // Rows as the triggers would leave them, without the time that thousands of locks take.
  await sql("alter table cams.messages disable trigger user");
  await insertMessages({ sql }, "", 5000, { seq: "n", ...(lines && { ordering_key: "'own' || n" }) });
  if (lines) await insertMessages({ sql }, "", 5000, { seq: "n", ...leased });
  await sql("update cams.messages set recipient_address = 'a' || seq");
  await insertMessages({ sql }, "deep", 20_000, { rank_at: delayed, available_at: delayed });
  await insertMessages({ sql }, "line", 1);
  if (!lines) return;
  const line = { ordering_key: "'k'", rank_at: "now() - interval '5 min'" };
  await insertMessages({ sql }, "line", 1, { ...line, ...leased });
  await insertMessages({ sql }, "line", 10_000, { ...line, blocked: "true" });
}

/** What happens after the statements were planned: 500 messages end elsewhere, and no sweep has come by. */
async function elsewhere({ sql }: Pick<Planned, "sql">, lines: boolean): Promise<void> {
  const ended = {
    expires_at: "now() - interval '1 s'",
    ...(lines && { ordering_key: "case when n % 2 = 0 then 'k' || n end" }),
  };
  await insertMessages({ sql }, "elsewhere", 500, ended);
}

type Call = (repo: Repository) => Promise<unknown>;
const table: [name: string, most: number, call: Call, answers?: unknown[]][] = [
  ["a claim of an inbox with little", 10, (repo) => repo.leases.claim("a7", CLAIM)],
  ["a claim of an idle inbox", 0, (repo) => repo.leases.claim("idle", CLAIM)],
  ["a claim of 10 out of 20,000, counting 100 more", 150, (repo) => repo.leases.claim("deep", CLAIM)],
  ["a claim of a message beside others that wait in line", 10, (repo) => repo.leases.claim("line", CLAIM)],
  ["an ack", 10, (repo) => repo.leases.acknowledge("deep", [TOKEN, TOKEN.replace("0", "1")])],
  ["a nack", 10, (repo) => repo.leases.fail("deep", [TOKEN])],
  ["an extension", 10, (repo) => repo.leases.extend("deep", [TOKEN], 60)],
  ["what is given back", 10, (repo) => repo.leases.giveBack("deep", [TOKEN])],
  ["a cancellation", 10, (repo) => repo.messages.cancel(ID)],
  ["a look-up of a message", 10, (repo) => repo.messages.get(ID)],
  ["a look-up of an inbox, counting to 1,000", 1000, (repo) => repo.inboxes.find("deep")],
  ["a heartbeat", 10, (repo) => repo.health.report([{ aiAgentAddress: "deep", status: "HEALTHY" }])],
  ["a heartbeat of an idle inbox", 10, (repo) => repo.health.report([{ aiAgentAddress: "idle", status: "HEALTHY" }])],
  ["a page of an inbox with little", 10, (repo) => repo.messages.list({ recipientAddress: "a7", pageSize: 50 })],
  ["archiving the 500 that have ended", 1000, (repo) => repo.messages.archiveEnded(1000), [NONE_ENDED]],
  ["clearing the heads of an inbox", 10, (repo) => repo.messages.archiveEnded(1000, "line"), [NONE_ENDED]],
];

describe.each([true, false])("with ordering keys: %s", (lines) => {
  const database = usePlannedDatabase((database) => fill(database, lines));

  describe.each(lines ? ["before any statistics", "with statistics"] : ["with statistics"])("%s", (when) => {
    const known = when === "with statistics";
    beforeAll(async () => {
      if (known) await database.sql("analyze cams.agent_inboxes, cams.messages");
    });
    // What comes first is looked up in its order only once it is known that there is much.
    const judged = known ? table : table.filter(([name]) => !/20,000|page/.test(name));

    describe.each(planModes)("no more messages are read than needed (%s):", (mode) => {
      test.each(judged)("%s", async (_, most, call, answers) => {
        const statement = await statementOf(call, answers);
        const executed = await execute(database.url, statement, mode, (sql) => elsewhere({ sql }, lines));
        const read = (name: string) => executed.scansOf(name).reduce((sum, { rows }) => sum + rows, 0);
        expect(read("messages"), executed.plan).toBeLessThanOrEqual(most);
        expect(read("agent_inboxes"), executed.plan).toBeLessThanOrEqual(10);
      });
    });
  });
});
