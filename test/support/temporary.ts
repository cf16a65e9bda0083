import { statfsSync } from "node:fs";
import { tmpdir } from "node:os";

const MEMORY = "/dev/shm";
/** What a run takes at most (databases, built functions), doubled. */
const NEEDED_BYTES = 4 * 1024 ** 3;

/** Where tests put their files: in memory where it has the room. On a disk a tenth of a run goes into making them. */
export function temporaryFolder(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize > NEEDED_BYTES ? MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}
