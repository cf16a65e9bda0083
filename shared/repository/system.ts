import * as z from "zod";
import { sql } from "../db/sql.ts";
import type { Context } from "./index.ts";

const Made = z.object({ made: z.int() });

/** What the service asks about the database itself. */
export function system({ db }: Context) {
  return {
    /** Answers when the database does. */
    async ping(): Promise<void> {
      await db.execute("system.ping", sql`select 1`);
    },

    /** Makes the daily partitions of the archive for the next two weeks; answers how many are new. */
    async makePartitions(): Promise<number> {
      const { made } = await db.one(
        "system.make_partitions",
        Made,
        sql`select cams.make_message_partitions(14) as made`,
      );
      return made;
    },
  };
}
