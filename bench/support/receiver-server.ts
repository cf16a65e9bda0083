import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** The other side of deliveries: takes every webhook call, and every publish as Pub/Sub answers it. */
const take: RequestListener = async (req, res) => {
  const body = await text(req);
  if (!req.url?.endsWith(":publish")) return res.writeHead(204).end();
  const { messages } = JSON.parse(body) as { messages: unknown[] };
  res.writeHead(200, { "content-type": "application/json" });
  return res.end(JSON.stringify({ messageIds: messages.map((_, index) => `${index}`) }));
};

const hosts = [];
for (let count = Number(process.argv[2]); count > 0; count--) {
  const server = createServer(take).listen(0, "127.0.0.1");
  await once(server, "listening");
  hosts.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
}
process.send?.(hosts.join());
process.on("disconnect", () => process.exit(0));
