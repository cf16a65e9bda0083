import { createSecretKey, randomBytes } from "node:crypto";
import type { AddressInfo, LookupFunction } from "node:net";
import { createServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { Outgoing } from "../../../shared/outbound/destination.ts";
import { createWebhooks } from "../../../shared/outbound/webhooks.ts";

const keys = [createSecretKey(randomBytes(32))];
const message = { messageId: "m-1", senderAddress: "a", recipientAddress: "b", messageType: "t" } as Outgoing;

test("every connection asks the guard where to go, also the one that takes the place of a kept one", async () => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    let requests = 0;
    socket.on("data", () => {
      if (requests++ === 0) socket.write("HTTP/1.1 204 No Content\r\n\r\n");
      else socket.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const asked: string[] = [];
  const lookup: LookupFunction = (host, { all }, callback) => {
    asked.push(host);
    const [address, family] = ["127.0.0.1", 4];
    if (all) callback(null, [{ address, family }]);
    else callback(null, address, family);
  };
  const webhooks = createWebhooks({ faultByForm: () => undefined, faultOf: async () => undefined, lookup });
  onTestFinished(() => {
    webhooks.close();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  // No name server knows this name: without the guard the connection fails.
  const url = `http://guarded.invalid:${(server.address() as AddressInfo).port}/`;
  const { signal } = new AbortController();
  for (let n = 0; n < 3; n++)
    expect(await webhooks.post(url, message, keys, signal)).toEqual({ delivered: true, statusCode: 204 });
  expect(asked).toEqual(["guarded.invalid", "guarded.invalid", "guarded.invalid"]);
});

test("an attempt that is given up says so, before it begins and while it waits", async () => {
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const webhooks = createWebhooks({ faultByForm: () => undefined, faultOf: async () => undefined, lookup: undefined });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const interrupted = { delivered: false, detail: "interrupted", interrupted: true };
  expect(await webhooks.post(url, message, keys, AbortSignal.abort())).toEqual(interrupted);
  expect(await webhooks.post(url, message, keys, AbortSignal.timeout(100))).toEqual(interrupted);
  webhooks.close();
  server.close();
});
