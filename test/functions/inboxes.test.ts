import { describe, expect, test } from "vitest";
import { makerFor } from "../support/make.ts";
import { useService } from "../support/service.ts";

const service = useService();
const make = makerFor(service);

describe("inboxes-register", () => {
  test("201 with the whole inbox, its place and its revision", async () => {
    const answer = await service.post("/v1/agent-inboxes", {
      aiAgentAddress: "Sales@Corp.Example",
      inboxDestinationType: "PULL_QUEUE",
      ownerTeam: "sales",
    });
    expect(answer.status).toBe(201);
    expect(answer.headers.get("location")).toBe("/v1/agent-inboxes/sales@corp.example");
    expect(answer.headers.get("etag")).toBe('"1"');
    expect(answer.body).toMatchObject({
      aiAgentAddress: "sales@corp.example",
      inboxName: "sales@corp.example",
      status: "ACTIVE",
      adminStatus: "ACTIVE",
      healthStatus: "UNKNOWN",
      quarantined: false,
      ownerTeam: "sales",
      heartbeatIntervalSeconds: 60,
      maxDeliveryAttempts: 20,
      updatedBy: "local",
      revision: 1,
    });
  });

  test("409 when the address is taken, in any case of letters", async () => {
    const { aiAgentAddress } = await make.inbox();
    const taken = { aiAgentAddress: aiAgentAddress.toUpperCase(), inboxDestinationType: "PULL_QUEUE" };
    const answer = await service.post("/v1/agent-inboxes", taken);
    expect(answer).toMatchObject({ status: 409, body: { code: "inbox_exists" } });
  });

  test("one row and 49 conflicts when 50 register the same address at once", async () => {
    const body = { aiAgentAddress: make.address(), inboxDestinationType: "PULL_QUEUE" };
    const answers = await Promise.all(Array.from({ length: 50 }, () => service.post("/v1/agent-inboxes", body)));
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(answers.filter(({ status, body }) => status === 409 && body.code === "inbox_exists")).toHaveLength(49);
    expect(await service.sql("select from cams.agent_inboxes")).toHaveLength(1);
  });
});
