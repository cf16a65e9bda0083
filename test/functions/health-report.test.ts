import { describe, expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { allPages, callsFor } from "./calls.ts";
import { insertInboxes } from "./rows.ts";

const service = useService();
const calls = callsFor(service);
const seconds = (from: string, to: string) => (Date.parse(to) - Date.parse(from)) / 1000;

async function watched(fields = {}): Promise<string> {
  const { aiAgentAddress } = await calls.inbox(fields);
  await calls.report(aiAgentAddress);
  return aiAgentAddress;
}

describe("health-report", () => {
  test("200 with what became of it, the time being the database's", async () => {
    const { aiAgentAddress } = await calls.inbox({ heartbeatIntervalSeconds: 30 });
    const { status, body } = await calls.report(aiAgentAddress.toUpperCase());
    expect(status).toBe(200);
    expect(body).toEqual({
      status: "success",
      message: `${aiAgentAddress} is HEALTHY`,
      timestamp: expect.any(String),
      inbox: {
        status: "ACTIVE",
        healthStatus: "HEALTHY",
        adminStatus: "ACTIVE",
        hasMessages: false,
        expectedBy: expect.any(String),
      },
    });
    expect(seconds(body.timestamp, body.inbox.expectedBy)).toBe(30);
    expect(await calls.inboxOf(aiAgentAddress)).toMatchObject({
      healthStatus: "HEALTHY",
      lastHealthCheckTimestamp: body.timestamp,
      revision: 1,
    });
  });

  test("UNHEALTHY takes the inbox out of routing at once, HEALTHY brings it back", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const reject = { recipientAddress: aiAgentAddress, ifInactive: "reject" };
    expect((await calls.report(aiAgentAddress, "UNHEALTHY")).body.inbox).toMatchObject({
      status: "INACTIVE",
      healthStatus: "UNHEALTHY",
      adminStatus: "ACTIVE",
    });
    expect((await calls.send(reject)).status).toBe(409);
    expect((await calls.report(aiAgentAddress)).body.inbox).toMatchObject({
      status: "ACTIVE",
      healthStatus: "HEALTHY",
    });
    expect((await calls.send(reject)).status).toBe(202);
  });

  test("HEALTHY never overrules an operator, nor a quarantine", async () => {
    const { aiAgentAddress } = await calls.inbox();
    await calls.update(aiAgentAddress, { status: "INACTIVE" });
    expect((await calls.report(aiAgentAddress)).body.inbox).toMatchObject({
      status: "INACTIVE",
      adminStatus: "INACTIVE",
      healthStatus: "HEALTHY",
    });
    await calls.update(aiAgentAddress, { status: "ACTIVE" });
    await calls.quarantine(aiAgentAddress);
    expect((await calls.report(aiAgentAddress)).body.inbox).toMatchObject({
      status: "INACTIVE",
      adminStatus: "ACTIVE",
    });
    expect(await calls.inboxOf(aiAgentAddress)).toMatchObject({ quarantined: true });
  });

  test("404 when the address is not registered", async () => {
    expect(await calls.report("nobody")).toMatchObject({ status: 404, body: { code: "inbox_not_found" } });
  });

  test("400 for a status that is not an agent's to report, or a time of its own", async () => {
    const { aiAgentAddress } = await calls.inbox();
    for (const status of ["OFFLINE", "SUSPECT", "UNKNOWN", "ACTIVE"])
      expect((await calls.report(aiAgentAddress, status)).status).toBe(400);
    const given = await calls.report(aiAgentAddress, "HEALTHY", { timestamp: "2026-01-01T00:00:00Z" });
    expect(given).toMatchObject({ status: 400, body: { errors: [{ pointer: "/timestamp" }] } });
  });

  test("`hasMessages` says whether a pull would find something now", async () => {
    const { aiAgentAddress } = await calls.inbox();
    const hasMessages = async () => (await calls.report(aiAgentAddress)).body.inbox.hasMessages;
    await calls.message({ recipientAddress: aiAgentAddress, deliverAfter: "2099-01-01T00:00:00Z" });
    expect(await hasMessages()).toBe(false);
    await calls.message({ recipientAddress: aiAgentAddress, priority: "LOW" });
    expect(await hasMessages()).toBe(true);
    const [pulled] = await calls.pull(aiAgentAddress);
    expect(await hasMessages()).toBe(false);
    await calls.nack(aiAgentAddress, [pulled.leaseToken], { retryAfterSeconds: 0 });
    expect(await hasMessages()).toBe(true);
    await calls.expire();
    expect(await hasMessages()).toBe(false);
  });

  test("`nextReportInSeconds` says when it wakes: not suspected before, and only for this once", async () => {
    const { aiAgentAddress } = await calls.inbox({ heartbeatIntervalSeconds: 60 });
    const { body } = await calls.report(aiAgentAddress, "HEALTHY", { nextReportInSeconds: 86_400 });
    expect(seconds(body.timestamp, body.inbox.expectedBy)).toBe(86_400);
    await calls.silence(86_400 + 55);
    expect((await calls.sweep()).body).toMatchObject({ suspected: 0, offline: 0 });
    await calls.silence(10);
    expect((await calls.sweep()).body).toMatchObject({ suspected: 1, offline: 0 });
    await calls.silence(120);
    expect((await calls.sweep()).body).toMatchObject({ suspected: 0, offline: 1 });
    const again = (await calls.report(aiAgentAddress)).body;
    expect(seconds(again.timestamp, again.inbox.expectedBy)).toBe(60);
  });

  test("a sooner next report is missed sooner", async () => {
    const address = await watched({ heartbeatIntervalSeconds: 3600 });
    await calls.report(address, "HEALTHY", { nextReportInSeconds: 5 });
    await calls.silence(3600 + 4);
    expect((await calls.sweep()).body).toMatchObject({ suspected: 0 });
    await calls.silence(2);
    expect((await calls.sweep()).body).toMatchObject({ suspected: 1 });
  });

  test("reports that come in time keep it from being suspected, however many intervals pass", async () => {
    const address = await watched();
    for (let n = 0; n < 12; n++) {
      await calls.silence(59);
      expect((await calls.sweep()).body).toMatchObject({ suspected: 0, offline: 0 });
      await calls.report(address);
    }
    await calls.silence(121);
    expect((await calls.sweep()).body).toMatchObject({ suspected: 1 });
  });
});

describe("health-report-batch", () => {
  const batch = (reports: unknown[]) => service.post("/v1/agent-health-check/batch", { reports });

  test("each report has its own result, in the order given; an unknown address fails alone; the last of two counts", async () => {
    const one = await watched();
    const two = await watched();
    const { status, body } = await batch([
      { aiAgentAddress: two, status: "UNHEALTHY", details: "first" },
      { aiAgentAddress: "nobody", status: "HEALTHY" },
      { aiAgentAddress: one, status: "UNHEALTHY" },
      { aiAgentAddress: two.toUpperCase(), status: "HEALTHY", nextReportInSeconds: 600 },
    ]);
    expect(status).toBe(200);
    expect(body.results).toMatchObject([
      { aiAgentAddress: two, inbox: { healthStatus: "HEALTHY", status: "ACTIVE" } },
      { aiAgentAddress: "nobody", problem: { code: "inbox_not_found", status: 404 } },
      { aiAgentAddress: one, inbox: { healthStatus: "UNHEALTHY", status: "INACTIVE" } },
      { aiAgentAddress: two, inbox: { healthStatus: "HEALTHY" } },
    ]);
    const { lastHealthCheckTimestamp } = await calls.inboxOf(two);
    expect(seconds(lastHealthCheckTimestamp, body.results[3].inbox.expectedBy)).toBe(600);
  });

  test("500 reports in one call, and 501 are too many", async () => {
    await insertInboxes(service, 500);
    const reports = Array.from({ length: 500 }, (_, n) => ({ aiAgentAddress: `a${n + 1}`, status: "HEALTHY" }));
    const { body } = await batch(reports);
    expect(body.results.filter((result: { inbox?: unknown }) => result.inbox)).toHaveLength(500);
    expect((await batch([...reports, { aiAgentAddress: "x", status: "HEALTHY" }])).status).toBe(400);
    expect((await batch([])).status).toBe(400);
  });

  test("two with the same 200 addresses in opposite order at once, 50 times: no error, none retried", async () => {
    // So many that each of the 200 is looked up by itself, in the order of the batch unless that is seen to.
    await insertInboxes(service, 20_000);
    await service.sql("analyze cams.agent_inboxes");
    const reports = Array.from({ length: 200 }, (_, n) => ({ aiAgentAddress: `a${n + 1}`, status: "HEALTHY" }));
    const opposite = reports.toReversed();
    for (let round = 0; round < 50; round++) {
      const answers = await Promise.all([batch(reports), batch(opposite)]);
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    }
    expect(await calls.failedStatements()).toEqual([]);
  });
});

describe("health-history", () => {
  const history = (address: string) => service.get(`/v1/agent-inboxes/${address}/health-history`);

  test("every change of health or status with its reason, newest first; a report that changes nothing is none", async () => {
    const { aiAgentAddress } = await calls.inbox();
    await calls.report(aiAgentAddress);
    await calls.report(aiAgentAddress);
    await calls.report(aiAgentAddress, "UNHEALTHY", { details: "no disk left" });
    await calls.update(aiAgentAddress, { status: "INACTIVE" });
    await calls.report(aiAgentAddress);
    await calls.update(aiAgentAddress, { description: "no change of either" });
    await calls.update(aiAgentAddress, { status: "ACTIVE" });
    await calls.silence(130);
    await calls.sweep();
    await calls.silence(120);
    await calls.sweep();
    const { body } = await history(aiAgentAddress);
    const lines = body.items.map(
      ({ from, to, reason }: Record<string, Record<string, string>>) =>
        `${from?.healthStatus} ${from?.status} > ${to?.healthStatus} ${to?.status}: ${reason}`,
    );
    expect(lines.toReversed()).toEqual([
      "UNKNOWN ACTIVE > HEALTHY ACTIVE: reported healthy",
      "HEALTHY ACTIVE > UNHEALTHY INACTIVE: no disk left",
      "UNHEALTHY INACTIVE > HEALTHY INACTIVE: reported healthy",
      "HEALTHY INACTIVE > HEALTHY ACTIVE: admin status set to ACTIVE by local",
      "HEALTHY ACTIVE > SUSPECT ACTIVE: missed 2 reports",
      "SUSPECT ACTIVE > OFFLINE INACTIVE: missed 4 reports",
    ]);
    const times = body.items.map(({ at }: { at: string }) => at);
    expect(times).toEqual(times.toSorted().reverse());
  });

  test("page by page, each change once, while others are added", async () => {
    const { aiAgentAddress } = await calls.inbox();
    for (let n = 0; n < 11; n++) await calls.report(aiAgentAddress, n % 2 === 0 ? "HEALTHY" : "UNHEALTHY");
    const path = `/v1/agent-inboxes/${aiAgentAddress}/health-history?pageSize=3`;
    let status = "HEALTHY";
    const items = await allPages(service, path, () => {
      status = status === "HEALTHY" ? "UNHEALTHY" : "HEALTHY";
      return calls.report(aiAgentAddress, status);
    });
    expect(items).toHaveLength(11);
    expect(items.map(({ to }) => to.healthStatus).reverse()).toEqual(
      Array.from({ length: 11 }, (_, n) => (n % 2 === 0 ? "HEALTHY" : "UNHEALTHY")),
    );
  });

  test("empty before the first change, kept after a deletion, 404 for an address that never was", async () => {
    const { aiAgentAddress } = await calls.inbox();
    expect((await history(aiAgentAddress)).body).toEqual({ items: [] });
    await calls.report(aiAgentAddress);
    await service.delete(`/v1/agent-inboxes/${aiAgentAddress}`);
    expect((await history(aiAgentAddress)).body.items).toHaveLength(1);
    expect(await history("nobody")).toMatchObject({ status: 404, body: { code: "inbox_not_found" } });
  });
});
