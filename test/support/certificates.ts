import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/** Who signs certificates. */
export interface Authority {
  /** Its own certificate, PEM. */
  certificate: string;
  /** A certificate, PEM, for the holder of a key, good for so many seconds from now on. */
  issue(commonName: string, publicKey: KeyObject, seconds: number): string;
}

/** A new authority that trusts nobody else; only its PEM is needed to trust it. */
export function makeAuthority(commonName: string): Authority {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const issue = (subject: string, key: KeyObject, seconds: number, isAuthority: boolean) => {
    const now = Date.now();
    const content = sequence(
      tagged(0xa0, integer(Buffer.of(2))),
      integer(randomBytes(8)),
      ECDSA_WITH_SHA256,
      name(commonName),
      sequence(time(now - 60_000), time(now + seconds * 1000)),
      name(subject),
      key.export({ type: "spki", format: "der" }),
      ...(isAuthority ? [tagged(0xa3, sequence(BASIC_CONSTRAINTS_CA))] : []),
    );
    const signature = sign("sha256", content, privateKey);
    const certificate = sequence(content, ECDSA_WITH_SHA256, tagged(0x03, Buffer.of(0), signature));
    const lines = certificate.toString("base64").match(/.{1,64}/g) ?? [];
    return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
  };
  return {
    certificate: issue(commonName, publicKey, 86_400, true),
    issue: (subject, key, seconds) => issue(subject, key, seconds, false),
  };
}

/** Node signs, but does not write X.509: this is the DER of what is needed of it (RFC 5280). */
function tagged(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...size), content]);
}

function sequence(...parts: Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

/** Positive and in minimal form, or parsing fails for one serial number in 256. */
function integer(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const minimal = bytes.subarray(first);
  return tagged(0x02, ...((minimal[0] ?? 0) > 127 ? [Buffer.of(0)] : []), minimal);
}

function name(commonName: string): Buffer {
  return sequence(tagged(0x31, sequence(COMMON_NAME, tagged(0x0c, Buffer.from(commonName)))));
}

function time(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replace(/\D/g, "").slice(2, 14);
  return tagged(0x17, Buffer.from(`${digits}Z`));
}

const COMMON_NAME = Buffer.from("0603550403", "hex");
const ECDSA_WITH_SHA256 = sequence(Buffer.from("06082a8648ce3d040302", "hex"));
const BASIC_CONSTRAINTS_CA = Buffer.from("300f0603551d130101ff040530030101ff", "hex");
