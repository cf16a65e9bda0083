import { connect, createServer, type Socket } from "node:net";

/** A TCP front on a port of its own, so that what is behind can go and come back elsewhere. */
export interface TcpFront {
  port: number;
  /** Connections through it now. */
  open(): number;
  /** Leads new connections to another port; undefined: refuses them. */
  lead(port: number | undefined): void;
  /** Cuts every connection. */
  cut(): void;
  close(): void;
}

export async function startFront(target: number): Promise<TcpFront> {
  let behind: number | undefined = target;
  const sockets = new Set<Socket>();
  const server = createServer((front) => {
    if (behind === undefined) return void front.resetAndDestroy();
    const back = connect(behind, "127.0.0.1");
    sockets.add(front);
    for (const [socket, other] of [
      [front, back],
      [back, front],
    ] as const) {
      socket.on("error", () => other.destroy());
      socket.on("close", () => {
        other.destroy();
        sockets.delete(front);
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as { port: number }).port,
    open: () => sockets.size,
    lead: (port) => {
      behind = port;
    },
    cut,
    close() {
      cut();
      server.close();
    },
  };
}
