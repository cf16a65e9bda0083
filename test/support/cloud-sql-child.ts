// A service as a process of its own, composed from its environment. It closes when its input ends, and must then end by
// itself: nothing here makes it.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { compose } from "../../functions/compose.ts";
import { endpoints } from "../../functions/index.ts";
import { readConfig } from "../../shared/config.ts";

const app = await compose(readConfig());
const server = createServer(app.serve(endpoints));
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
process.stdin.resume().on("end", () => void app.close(server));
