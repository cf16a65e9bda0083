import { createPublicKey, generateKeyPairSync, randomInt } from "node:crypto";
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import type { TestContext } from "vitest";
import { makeAuthority } from "./certificates.ts";

const PROJECT = "project";
const REGION = "europe-west1";
const INSTANCE = "instance";
/** The port of Cloud SQL's own front, which the connector does not let one choose. */
const PORT = 3307;

/** A Cloud SQL instance: the Admin API that gives certificates, and the TLS front before a PostgreSQL. */
export interface FakeCloudSql {
  /** What a service needs to use it. */
  env: Record<string, string>;
  /** Where its front is. */
  address: string;
  /** Certificates given. */
  issued(): number;
  /** Calls of the Admin API, answered or not. */
  calls(): number;
  /** What the Admin API does: fails the next so many calls with 503, or leaves calls unanswered. */
  admin: { failing: number; hanging: boolean };
  /** How long new certificates are good. */
  certificateSeconds: number;
  /** What the front does with new connections. */
  front: "leads" | "refuses" | "hangs";
  /** Connections through the front now; and handshakes that it refused. */
  open(): number;
  refused(): number;
  /** Connections to the front so far, whatever became of them. */
  knocks(): number;
  /** Refuses from now on the certificates given so far but so many of the last, as if their time were over. */
  expireAllBut(last: number): void;
  /** Shows another server certificate, of another name or by another authority. */
  pretend(commonName: string, byOther?: boolean): void;
  /** Cuts every connection. */
  cut(): void;
}

/** Starts one in front of a PostgreSQL on a port of this machine; it ends with the test, of several at once too. */
export async function startCloudSql(
  postgresPort: number,
  onTestFinished: TestContext["onTestFinished"],
): Promise<FakeCloudSql> {
  const authority = makeAuthority("Cloud SQL Server CA");
  /** Certified public keys, each for a token: DER in base64. */
  const certified = new Map<string, string>();
  let expired = new Set<string>();
  let calls = 0;
  let issued = 0;
  let refused = 0;
  let knocks = 0;
  const address = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;

  function certify(body: { public_key?: string; access_token?: string }, bearer: string | undefined) {
    const token = /^token-\d+$/;
    if (!token.test(bearer?.replace(/^Bearer /, "") ?? "") || !token.test(body.access_token ?? "")) return undefined;
    const key = createPublicKey(body.public_key ?? "");
    certified.set(derOf(key.export({ type: "spki", format: "der" })), body.access_token ?? "");
    issued += 1;
    return { ephemeralCert: { cert: authority.issue("service account", key, fake.certificateSeconds) } };
  }

  const api = createHttpServer(async (request, response) => {
    calls += 1;
    const body = await bodyOf(request);
    if (fake.admin.hanging) return;
    if (fake.admin.failing > 0) {
      fake.admin.failing -= 1;
      return answer(response, 503, { error: { code: 503, status: "UNAVAILABLE", message: "Try again." } });
    }
    const path = `/sql/v1beta4/projects/${PROJECT}/instances/${INSTANCE}`;
    if (request.method === "GET" && request.url === `${path}/connectSettings`)
      return answer(response, 200, {
        kind: "sql#connectSettings",
        backendType: "SECOND_GEN",
        databaseVersion: "POSTGRES_18",
        region: REGION,
        ipAddresses: [{ type: "PRIVATE", ipAddress: address }],
        serverCaCert: { cert: authority.certificate, expirationTime: new Date(Date.now() + 86_400_000).toISOString() },
      });
    if (request.method !== "POST" || request.url !== `${path}:generateEphemeralCert`)
      return answer(response, 404, { error: { code: 404, status: "NOT_FOUND", message: "Not found." } });
    const given = certify(JSON.parse(body), request.headers.authorization);
    if (given) return answer(response, 200, given);
    return answer(response, 401, { error: { code: 401, status: "UNAUTHENTICATED", message: "No such token." } });
  });

  const serverKey = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = serverKey.privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const contextFor = (commonName: string, by = authority) => ({
    key,
    cert: by.issue(commonName, serverKey.publicKey, 86_400),
    ca: authority.certificate,
    minVersion: "TLSv1.3" as const,
  });
  const sockets = new Map<number, Socket>();
  const open = new Set<TLSSocket>();
  const tls = createTlsServer({
    ...contextFor(`${PROJECT}:${INSTANCE}`),
    requestCert: true,
    rejectUnauthorized: false,
  });
  tls.on("secureConnection", (socket) => {
    const shown = socket.getPeerX509Certificate();
    const known = derOf(shown?.publicKey.export({ type: "spki", format: "der" }));
    if (!socket.authorized || !certified.has(known) || expired.has(known)) {
      refused += 1;
      // A reset, as of a handshake that fails: after a mere end the connector never renews its certificate.
      return void sockets.get(socket.remotePort ?? 0)?.resetAndDestroy();
    }
    open.add(socket);
    join(socket, connect(postgresPort, "127.0.0.1"), () => open.delete(socket));
  });
  tls.on("tlsClientError", () => refused++);
  const front = createServer((socket) => {
    knocks += 1;
    sockets.set(socket.remotePort ?? 0, socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket.remotePort ?? 0));
    if (fake.front === "refuses") socket.resetAndDestroy();
    if (fake.front === "leads") tls.emit("connection", socket);
  });

  const fake: FakeCloudSql = {
    env: {},
    address,
    issued: () => issued,
    calls: () => calls,
    admin: { failing: 0, hanging: false },
    certificateSeconds: 3600,
    front: "leads",
    open: () => open.size,
    refused: () => refused,
    knocks: () => knocks,
    expireAllBut(last) {
      expired = new Set([...certified.keys()].slice(0, certified.size - last));
    },
    pretend(commonName, byOther = false) {
      tls.setSecureContext(contextFor(commonName, byOther ? makeAuthority("Another CA") : authority));
    },
    cut() {
      for (const socket of sockets.values()) socket.resetAndDestroy();
    },
  };
  await listen(api, "127.0.0.1", 0);
  await listen(front, address, PORT);
  onTestFinished(() => {
    api.close();
    api.closeAllConnections();
    front.close();
    for (const socket of sockets.values()) socket.destroy();
  });
  fake.env = {
    INSTANCE_CONNECTION_NAME: `${PROJECT}:${REGION}:${INSTANCE}`,
    SQL_ADMIN_ENDPOINT: `http://127.0.0.1:${(api.address() as AddressInfo).port}`,
  };
  return fake;
}

function derOf(key: string | Buffer | undefined): string {
  return Buffer.from(key ?? "").toString("base64");
}

function join(front: Socket, back: Socket, onEnd: () => void): void {
  for (const [socket, other] of [
    [front, back],
    [back, front],
  ] as const) {
    socket.on("error", () => other.destroy());
    socket.on("close", () => other.destroy());
    socket.pipe(other);
  }
  front.on("close", onEnd);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
