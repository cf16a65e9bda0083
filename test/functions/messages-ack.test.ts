import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";

const service = useService();
const calls = callsFor(service);
const seconds = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 1000;

async function leased(fields = {}, pull = {}) {
  const message = await calls.leased(fields, pull);
  return { ...message, address: message.recipientAddress, token: message.leaseToken };
}

describe("messages-ack", () => {
  test("the message is done: when, in which attempt, and never handed out again", async () => {
    const { address, token, messageId } = await leased();
    const answer = await calls.ack(address, token);
    expect(answer).toMatchObject({ status: 200, body: { acknowledged: [messageId], refused: [] } });
    const message = await calls.messageOf(messageId);
    expect(message).toMatchObject({
      status: "ACKNOWLEDGED",
      acknowledgedAt: message.finishedAt,
      attempts: [{ number: 1, outcome: "ACKNOWLEDGED" }],
    });
    await calls.lapse();
    expect(await calls.pull(address)).toEqual([]);
  });

  test("repeated it is acknowledged again, once or 20 times at once", async () => {
    const one = await leased();
    for (let n = 0; n < 2; n++)
      expect((await calls.ack(one.address, one.token)).body).toEqual({ acknowledged: [one.messageId], refused: [] });
    for (let round = 0; round < 5; round++) {
      const { address, token, messageId } = await leased();
      for (const { body } of await atOnce(20, () => calls.ack(address, token)))
        expect(body).toEqual({ acknowledged: [messageId], refused: [] });
    }
    expect(await service.sql("select from cams.message_archive")).toHaveLength(6);
  });

  test("good and bad tokens in one call: each has its own answer, in the order given", async () => {
    const { aiAgentAddress: address } = await calls.inbox();
    await atOnce(3, () => calls.message({ recipientAddress: address }));
    const [a, b, c] = await calls.pull(address);
    const other = await leased();
    const unknown = `${a.messageId}.${b.messageId}`;
    const { body } = await calls.ack(
      address,
      c.leaseToken,
      "nonsense",
      a.leaseToken,
      unknown,
      other.token,
      a.leaseToken,
    );
    expect(body.acknowledged).toEqual([c.messageId, a.messageId]);
    expect(body.refused).toEqual(
      ["nonsense", unknown, other.token].map((leaseToken) => ({ leaseToken, code: "lease_expired" })),
    );
    expect(await calls.messageOf(b.messageId)).toMatchObject({ status: "LEASED" });
    expect(await calls.messageOf(other.messageId)).toMatchObject({ status: "LEASED" });
  });

  test("a token is worth nothing at another inbox, before the ack and after it", async () => {
    const { address, token } = await leased();
    const { aiAgentAddress: other } = await calls.inbox();
    const refused = { acknowledged: [], refused: [{ leaseToken: token, code: "lease_expired" }] };
    expect((await calls.ack(other, token)).body).toEqual(refused);
    expect((await calls.nack(other, [token])).body.returned).toEqual([]);
    expect((await calls.extend(other, [token])).body.extended).toEqual([]);
    expect((await calls.ack(address, token)).body.acknowledged).toHaveLength(1);
    expect((await calls.ack(other, token)).body).toEqual(refused);
  });

  test("good until the lease ends, past the time to live too", async () => {
    const { address, token, messageId } = await leased({ timeToLiveSeconds: 1 });
    await calls.expire(messageId);
    expect(await calls.messageOf(messageId)).toMatchObject({ status: "LEASED" });
    expect((await calls.ack(address, token)).body.acknowledged).toEqual([messageId]);
    expect(await calls.messageOf(messageId)).toMatchObject({ status: "ACKNOWLEDGED" });
  });

  test("refused once the lease is over, though nobody else has the message", async () => {
    const { address, token, messageId } = await leased();
    await calls.lapse();
    expect((await calls.ack(address, token)).body.acknowledged).toEqual([]);
    expect(await calls.messageOf(messageId)).toMatchObject({ status: "QUEUED" });
  });

  test("works while the inbox is inactive: what was leased may be finished", async () => {
    const { address, token, messageId } = await leased();
    await calls.update(address, { status: "INACTIVE" });
    expect((await calls.ack(address, token)).body.acknowledged).toEqual([messageId]);
  });

  test("404 at an unknown inbox", async () => {
    const { token } = await leased();
    const unknown = { status: 404, body: { code: "inbox_not_found" } };
    expect(await calls.ack("nobody", token)).toMatchObject(unknown);
    expect(await calls.nack("nobody", [token])).toMatchObject(unknown);
    expect(await calls.extend("nobody", [token])).toMatchObject(unknown);
  });

  test("against the lease's end and another puller there is one winner", async () => {
    const { aiAgentAddress: address } = await calls.inbox();
    const race = async (round: number) => {
      const { messageId } = await calls.message({ recipientAddress: address });
      const [first] = await calls.pull(address);
      await service.sql("update cams.messages set available_at = clock_timestamp() + make_interval(secs => $1)", [
        (round % 6) / 1000,
      ]);
      const ack = () => calls.ack(address, first.leaseToken);
      const started =
        round % 2 === 0 ? { ack: ack(), pull: calls.pull(address) } : { pull: calls.pull(address), ack: ack() };
      const [{ body }, pulled] = await Promise.all([started.ack, started.pull]);
      if (body.acknowledged.length === 1) {
        expect(pulled).toEqual([]);
        expect(await calls.messageOf(messageId)).toMatchObject({ status: "ACKNOWLEDGED", attempt: 1 });
        return "acknowledged";
      }
      // It may be too late for the ack and too early for the pull: then the next pull has it.
      await calls.lapse();
      const [again] = pulled.length === 1 ? pulled : await calls.pull(address);
      expect(again).toMatchObject({ messageId, attempt: 2 });
      await service.sql("delete from cams.messages");
      return "pulled";
    };
    const winners: string[] = [];
    for (let round = 0; round < 80; round++) winners.push(await race(round));
    expect(new Set(winners)).toEqual(new Set(["acknowledged", "pulled"]));
  });
});

describe("messages-extend", () => {
  test("the lease lasts so long from now, and the token stays good", async () => {
    const { address, token, messageId, leaseExpiresAt } = await leased({}, { leaseSeconds: 5 });
    const { body } = await calls.extend(address, [token, "nonsense"], 600);
    expect(body).toMatchObject({ extended: [messageId], refused: [{ leaseToken: "nonsense" }] });
    expect(seconds(leaseExpiresAt, body.leaseExpiresAt)).toBeGreaterThan(590);
    expect(await calls.messageOf(messageId)).toMatchObject({
      status: "LEASED",
      availableAt: body.leaseExpiresAt,
      attempt: 1,
    });
    expect((await calls.ack(address, token)).body.acknowledged).toEqual([messageId]);
  });

  test("a lapsed lease cannot be extended, nor one that is done", async () => {
    const lapsed = await leased();
    await calls.lapse();
    const done = await leased();
    await calls.ack(done.address, done.token);
    for (const { address, token } of [lapsed, done])
      expect((await calls.extend(address, [token])).body).toEqual({
        extended: [],
        refused: [{ leaseToken: token, code: "lease_expired" }],
      });
  });

  test("it may be made shorter", async () => {
    const { address, token, leaseExpiresAt } = await leased({}, { leaseSeconds: 600 });
    const { body } = await calls.extend(address, [token], 5);
    expect(seconds(body.leaseExpiresAt, leaseExpiresAt)).toBeGreaterThan(590);
  });

  test("it keeps a message past its time to live", async () => {
    const { address, token, messageId } = await leased({ timeToLiveSeconds: 1 });
    await calls.expire(messageId);
    await calls.extend(address, [token], 600);
    expect(await calls.messageOf(messageId)).toMatchObject({ status: "LEASED" });
  });
});
