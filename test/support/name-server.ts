import { createSocket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";

const [A, AAAA] = [1, 28];

/** A name server on a loopback socket (RFC 1035): answers addresses from `names`, and for all others that there is none. */
export interface NameServer {
  address: string;
  names: Map<string, string[]>;
  /** Names asked for so far, of either type. */
  asked: string[];
  /** Leaves questions without an answer. */
  silent: boolean;
  close(): void;
}

export async function startNameServer(): Promise<NameServer> {
  const socket = createSocket("udp4");
  const state = { names: new Map<string, string[]>(), asked: [] as string[], silent: false };
  socket.on("message", (question, from) => {
    const { name, type, end } = readQuestion(question);
    state.asked.push(name);
    if (state.silent) return;
    const addresses = state.names.get(name);
    const answers = (addresses ?? []).filter((address) => type === (isIPv6(address) ? AAAA : A)).map(recordOf);
    const header = Buffer.alloc(12);
    question.copy(header, 0, 0, 2);
    header.writeUInt16BE(addresses ? 0x8180 : 0x8183, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE(answers.length, 6);
    socket.send(Buffer.concat([header, question.subarray(12, end), ...answers]), from.port, from.address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return Object.assign(state, { address: `127.0.0.1:${socket.address().port}`, close: () => socket.close() });
}

function readQuestion(packet: Buffer): { name: string; type: number; end: number } {
  const labels = [];
  let at = 12;
  for (let length = packet[at] ?? 0; length > 0; length = packet[at] ?? 0) {
    labels.push(packet.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: packet.readUInt16BE(at + 1), end: at + 5 };
}

/** The answer to the packet's one question, not to be kept. */
function recordOf(address: string): Buffer {
  const data = isIPv6(address) ? bytesOf6(address) : Buffer.from(address.split(".").map(Number));
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(isIPv6(address) ? AAAA : A, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function bytesOf6(address: string): Buffer {
  const [left = "", right] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const groups = (text: string | undefined) => (text ? text.split(":") : []);
  const missing = 8 - groups(left).length - groups(right).length;
  const all = [...groups(left), ...Array(right === undefined ? 0 : missing).fill("0"), ...groups(right)];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}
