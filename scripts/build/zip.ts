import { crc32 } from "node:zlib";
import { deflateSync, Zip, type ZipInputFile } from "fflate";

const UNIX = 3;
const REGULAR_FILE = 0o100644;
const DEFLATED = 8;
/** A zip file knows no time zone: this reads the same on every machine. */
const EPOCH = new Date(1980, 0, 1, 12);

/**
 * Packs files, in the order of their paths. The same files give the same bytes, whatever the machine, its clock and Node's
 * version: they are deflated by JavaScript. What several zips hold as one and the same array is deflated once.
 */
export function createPacker(): (files: ReadonlyMap<string, Uint8Array>) => Uint8Array {
  const deflated = new Map<Uint8Array, Uint8Array<ArrayBuffer>>();
  const deflate = (content: Uint8Array) => {
    const known = deflated.get(content) ?? deflateSync(content as Uint8Array<ArrayBuffer>, { level: 4 });
    deflated.set(content, known);
    return known;
  };
  return (files) => {
    const chunks: Uint8Array[] = [];
    const zip = new Zip((error, chunk) => {
      if (error) throw error;
      chunks.push(chunk);
    });
    for (const path of [...files.keys()].toSorted()) {
      const content = files.get(path) as Uint8Array;
      const file: ZipInputFile = {
        filename: path,
        size: content.length,
        crc: crc32(content),
        compression: DEFLATED,
        os: UNIX,
        attrs: REGULAR_FILE << 16,
        mtime: EPOCH,
      };
      zip.add(file);
      file.ondata?.(null, deflate(content), true);
    }
    zip.end();
    return Buffer.concat(chunks);
  };
}
