import { expect, test, vi } from "vitest";
import { useService } from "../support/service.ts";
import { atOnce, callsFor } from "./calls.ts";
import { insertMessages, nothing } from "./rows.ts";

const service = useService();
const calls = callsFor(service);
/** Rows as sends and pulls leave them: `expired` past their time, `exhausted` in a lapsed last attempt. */
async function ended(expired: number, exhausted: number): Promise<string> {
  const { aiAgentAddress } = await calls.inbox();
  await insertMessages(service, aiAgentAddress, expired, { expires_at: "now() - interval '1 s'" });
  await insertMessages(service, aiAgentAddress, exhausted, {
    attempt: "20",
    last_attempt: "true",
    lease_token: "gen_random_uuid()",
    leased_at: "now() - interval '1 min'",
    available_at: "now() - interval '1 s'",
  });
  return aiAgentAddress;
}

test("messages that ended are archived by the sweep, all of them, with what they ended as", async () => {
  const address = await ended(2300, 1200);
  const live = await calls.message({ recipientAddress: address });
  expect((await calls.sweep()).body).toEqual({ ...nothing, expired: 2300, deadLettered: 1200 });
  expect((await calls.sweep()).body).toEqual(nothing);
  expect(await service.sql("select message_id from cams.messages")).toEqual([{ message_id: live.messageId }]);
  const { body } = await service.get("/v1/messages?status=DEAD_LETTERED&pageSize=1");
  expect(body.items).toMatchObject([
    { deadLetterReason: "attempts_exhausted", attempts: [{ number: 20, outcome: "LEASE_EXPIRED" }] },
  ]);
});

test("a message that has waited for more than a day is told in the log, and not one of yesterday that has ended", async () => {
  const warning = vi.spyOn(service.app.log, "warning");
  const told = () => warning.mock.calls.filter(([message]) => message.startsWith("a message has waited"));
  const { aiAgentAddress } = await calls.inbox();
  const old = { accepted_at: "now() - interval '25 hours'", expires_at: "now() - interval '1 s'" };
  await insertMessages(service, aiAgentAddress, 1, old);
  await insertMessages(service, aiAgentAddress, 1, { accepted_at: "now() - interval '23 hours'" });
  await calls.sweep();
  expect(told()).toEqual([]);
  await service.sql("update cams.messages set accepted_at = now() - interval '25 hours'");
  await calls.sweep();
  expect(told()).toEqual([[expect.anything(), { oldestAgeSeconds: expect.closeTo(90_000, -3) }]]);
});

test("messages that ended are archived in bounded batches", async () => {
  await ended(250, 0);
  const archive = () => service.app.repo.messages.archiveEnded(100);
  expect(await archive()).toEqual({ expired: 100, deadLettered: 0, more: true });
  expect(await archive()).toEqual({ expired: 100, deadLettered: 0, more: true });
  expect(await archive()).toEqual({ expired: 50, deadLettered: 0, more: false });
  expect(await archive()).toEqual({ expired: 0, deadLettered: 0, more: false });
});

test("messages that ended are counted once by sweeps that overlap", async () => {
  await ended(3000, 500);
  const answers = await atOnce(4, () => calls.sweep());
  const sum = (name: string) => answers.reduce((total, { body }) => total + body[name], 0);
  expect([sum("expired"), sum("deadLettered")]).toEqual([3000, 500]);
  expect(await service.sql("select from cams.message_archive")).toHaveLength(3500);
});
