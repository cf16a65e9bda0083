import * as z from "zod";
import checksums from "../../migrations/checksums.json" with { type: "json" };
import { schemaOutdated } from "../db/errors.ts";
import { sql } from "../db/sql.ts";
import type { Context } from "./index.ts";

const Made = z.object({ made: z.int() });
const Known = z.object({ known: z.boolean() });
/** The newest migration of this code. */
const NEWEST = Object.keys(checksums).at(-1);

/** What the service asks about the database itself. */
export function system({ db }: Context) {
  return {
    /**
     * Answers when the database does and has every migration of this code; it may have newer ones, as it has for what
     * still serves while the next version is deployed.
     * @throws Problem schema_outdated
     */
    async verifySchema(): Promise<void> {
      const asked = sql`select exists (select from cams.migrations where name = ${NEWEST}) as known`;
      const { known } = await db.one("system.verify_schema", Known, asked).catch((error) => {
        // The right to ask came with 0012_readiness: a schema from before it refuses.
        throw error.code === "42501" ? schemaOutdated(error) : error;
      });
      if (!known) throw schemaOutdated();
    },

    /** Makes the archives' partitions for the next two weeks; answers how many are new. */
    async makePartitions(): Promise<number> {
      const { made } = await db.one(
        "system.make_partitions",
        Made,
        sql`
          select cams.make_partitions('message_archive', 14) + cams.make_partitions('task_archive', 14)
            + cams.make_partitions('events', 14) as made`,
      );
      return made;
    },
  };
}
