import { randomBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { expect, onTestFinished, test } from "vitest";
import { secrets } from "../../shared/services/secrets.ts";
import { createDatabase } from "../support/database.ts";
import { startReceiver } from "../support/receiver.ts";
import { startService } from "../support/service.ts";
import { callsFor } from "./calls.ts";

const key = () => randomBytes(32).toString("base64");
const [old, fresh] = [key(), key()];

/** Services over one database, each with its keys. */
async function startOver() {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  return async (SECRETS_KEY: string) => {
    const service = await startService({ SECRETS_KEY }, { url: database.url, drop: async () => {} });
    onTestFinished(() => service.close());
    return { service, ...callsFor(service), retain: async () => (await service.post("/v1/system/retention")).body };
  };
}

test("a SECRETS_KEY is replaced without anybody's rotating: what is sealed with the old one is sealed with the new one", async () => {
  const start = await startOver();
  const { url, received } = await startReceiver();
  const before = await start(old);
  const made = [];
  for (let n = 0; n < 3; n++) made.push((await before.webhook(url, { aiAgentAddress: `a${n}` })).secret);
  const rotated = (await before.rotate("a0")).body.secret;

  const between = await start(`${fresh},${old}`);
  await between.webhook(url, { aiAgentAddress: "new" });
  expect(await between.retain()).toMatchObject({ complete: true, secretsResealed: 3, secretsUnreadable: 0 });
  expect(await between.retain()).toMatchObject({ complete: true, secretsResealed: 0, secretsUnreadable: 0 });

  const after = await start(fresh);
  for (const address of ["a0", "a1", "a2"]) await after.sendTo(address);
  expect(await after.deliver()).toEqual({ delivered: 3, failed: 0, deadLettered: 0 });
  for (const { event, text, headers } of received) {
    const verifying = event.subject === "a0" ? [made[0], rotated] : [made[Number(event.subject.slice(1))]];
    for (const secret of verifying) new Webhook(secret).verify(text, headers);
  }
});

test("what time does not suffice for is left to the next run, and said", async () => {
  const start = await startOver();
  const { app } = (await start(old)).service;
  const { service } = secrets.open(app as unknown as Parameters<typeof secrets.open>[0]);
  expect(await service.reseal(() => false)).toEqual({ secretsResealed: 0, secretsUnreadable: 0, complete: false });
  expect(await service.reseal(() => true)).toMatchObject({ complete: true });
});

test("secrets that no key opens are counted and left as they are", async () => {
  const start = await startOver();
  const { webhook } = await start(old);
  await webhook("http://127.0.0.1:9/", { aiAgentAddress: "a" });
  const { service, retain } = await start(fresh);
  const [stored] = await service.sql("select * from cams.webhook_secrets");
  expect(await retain()).toMatchObject({ complete: true, secretsResealed: 0, secretsUnreadable: 1 });
  expect(await service.sql("select * from cams.webhook_secrets")).toEqual([stored]);
});

test("a secret that was rotated out is deleted when it signs no more, and not before", async () => {
  const start = await startOver();
  const { service, webhook, rotate, retain } = await start(old);
  await webhook("http://127.0.0.1:9/", { aiAgentAddress: "a" });
  await rotate("a");
  expect(await retain()).toMatchObject({ previousSecretsDeleted: 0 });
  await service.sql("update cams.webhook_secrets set previous_until = now()");
  expect(await retain()).toMatchObject({ previousSecretsDeleted: 1 });
  expect(await service.sql("select previous_secret from cams.webhook_secrets")).toEqual([{ previous_secret: null }]);
});
