import { BlockList, isIP } from "node:net";

/** IPv4 that is not the public internet: IANA's special-purpose registry, multicast and what is reserved. */
const special4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
];
/** Of IPv6 only global unicast is public, and of that not what is special or carries an IPv4 address inside. */
const global6 = ["2000::", 3] as const;
const special6: readonly (readonly [string, number])[] = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
];

const refused = new BlockList();
for (const [net, bits] of special4) refused.addSubnet(net, bits, "ipv4");
for (const [net, bits] of special6) refused.addSubnet(net, bits, "ipv6");
const routed6 = new BlockList();
routed6.addSubnet(...global6, "ipv6");

/** Whether an IP address is one of the public internet. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !refused.check(address, "ipv4");
  return family === 6 && routed6.check(address, "ipv6") && !refused.check(address, "ipv6");
}

/** The host of a URL as a name or a bare IP address. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
}

/** Names that lead into one's own network by definition (RFC 6761, 6762, 8375), or that only a private network has. */
const PRIVATE_NAME = /(^|\.)(localhost|local|internal|home\.arpa)$|^[^.]*$/;
const PORTS = new Set(["", "443", "8443"]);

/**
 * What is wrong with a URL as a webhook's destination, as far as it can be told without asking a name server; undefined
 * when nothing is. `insecure` is for one's own machine: http, any port, any address.
 */
export function webhookFault(name: string, insecure: boolean): string | undefined {
  const url = URL.canParse(name) ? new URL(name) : undefined;
  if (!url || !(url.protocol === "https:" || (insecure && url.protocol === "http:"))) return "must be an https URL";
  if (url.username || url.password) return "must not carry credentials";
  if (insecure) return undefined;
  if (!PORTS.has(url.port)) return "must use port 443 or 8443";
  const host = hostOf(url);
  const isPublic = isIP(host) ? isPublicAddress(host) : !PRIVATE_NAME.test(host);
  return isPublic ? undefined : "must lead to a public address";
}
