import { compose } from "../functions/compose.ts";
import { readConfig } from "../shared/config.ts";
import type { Bench, Context } from "./support/bench.ts";
import { addressOf, fillInboxes } from "./support/rows.ts";
import { median } from "./support/stats.ts";
import { type Case, type Contender, measure } from "./support/turns.ts";

/** As the endpoint takes them. */
const SLICE = 1000;

/** What a sweep costs: it must follow what is stale, not what is registered. */
export const sweep: Bench = {
  name: "sweep",
  summary: "outlook and marking stale inboxes offline, in slices of 1,000, by the repository",
  async run(context) {
    const sizes: [string, number][] = context.quick
      ? [
          ["1 k", 1000],
          ["20 k", 20_000],
        ]
      : [
          ["10 k", 10_000],
          ["1 M", 1_000_000],
        ];
    const [few, many] = [
      await sizeOf(context, ...(sizes[0] as [string, number])),
      await sizeOf(context, ...(sizes[1] as [string, number])),
    ];
    const cases = (context.quick ? [0, 100] : [0, 100, 10_000]).flatMap((stale) => {
      const small = few(stale);
      const large = many(stale);
      return [small, { ...large, yardsticks: [...large.yardsticks, small.measured] }];
    });
    return measure(cases, context.rounds, context.progress);
  },
};

async function sizeOf(context: Context, label: string, registered: number) {
  context.progress(`registering ${label} inboxes`);
  const database = await context.database();
  await fillInboxes(database, registered);
  await database.sql("alter table cams.agent_inboxes set (autovacuum_enabled = off)");
  const app = await compose(readConfig({ AUTH_MODE: "none", DATABASE_URL: database.url, LOG_LEVEL: "ERROR" }));
  context.defer(() => app.close());
  const client = await database.client();
  context.defer(() => client.end());

  /** Vacuums, which makes every session plan anew, has that done, and only then makes rows stale. */
  async function makeStale(addresses: string[]): Promise<void> {
    if (addresses.length === 0) return;
    await database.sql("vacuum cams.agent_inboxes");
    await sweepAll();
    await ideal([]);
    await database.sql(
      `update cams.agent_inboxes
       set health_status = 'HEALTHY', expected_by = now() - interval '1 h', sweep_after = now() - interval '1 h'
       where ai_agent_address = any($1)`,
      [addresses],
    );
  }

  /** One statement by primary key that does to the rows what the sweep does to them. */
  const ideal = (addresses: string[]) =>
    client.query({
      name: "ideal",
      text: `update cams.agent_inboxes set health_status = 'OFFLINE', status_reason = 'missed', sweep_after = null
             where ai_agent_address = any($1)`,
      values: [addresses],
    });

  async function sweepAll(): Promise<number> {
    await app.repo.sweep.outlook();
    for (let marked = 0; ; ) {
      const { seen, offline } = await app.repo.sweep.markStale(SLICE);
      marked += offline;
      if (seen < SLICE) return marked;
    }
  }

  return (stale: number): Case => {
    const addresses = Array.from({ length: stale }, (_, at) => addressOf(1 + at));
    const yardstick: Contender =
      stale === 0
        ? { name: "select 1", turn: () => often(() => client.query("select 1")) }
        : {
            name: "one update by key",
            async turn() {
              await makeStale(addresses);
              return { value: await timed(() => ideal(addresses)) };
            },
          };
    return {
      what: `${stale.toLocaleString("en")} stale of ${label}`,
      unit: "ms",
      measured: {
        name: "fewer registered",
        async turn() {
          if (stale === 0) return often(sweepAll);
          await makeStale(addresses);
          let marked = 0;
          const value = await timed(async () => {
            marked = await sweepAll();
          });
          if (marked !== stale) throw new Error(`${marked} marked offline, ${stale} were stale`);
          return { value };
        },
      },
      yardsticks: [yardstick],
    };
  };
}

/** The median of many: what writes nothing can be repeated. */
async function often(work: () => Promise<unknown>): Promise<{ value: number }> {
  const times: number[] = [];
  for (let n = 0; n < 50; n++) times.push(await timed(work));
  return { value: median(times) };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
