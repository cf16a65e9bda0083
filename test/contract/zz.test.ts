import { expect, test } from "vitest";
import { useService } from "../support/service.ts";
import { kitFor } from "../support/cases/index.ts";
const service = useService();
const kit = kitFor(service);
const post = async (path: string, body: string) => { const t=performance.now(); const r = await fetch(service.url+path,{method:"POST",body,headers:{"content-type":"application/json"}}); const x = await r.text(); console.log(path, body.length, r.status, x.length, x.slice(0,300), Math.round(performance.now()-t)); return r };
const A="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const ks=[...A].flatMap(a=>[...A].flatMap(b=>[...A].map(c=>a+b+c)));
test("x", async () => {
  await post("/v1/agent-inboxes", "{"+ks.slice(0,125000).map(k=>`"${k}":0`).join(",")+"}");
  await post("/v1/agent-inboxes", "{"+ks.slice(0,131000).map(k=>`"${k}":0`).join(",")+"}");
  await post("/v1/messages", '{"metadata":{'+ks.slice(0,125000).map(k=>`"${k}":0`).join(",")+"}}");
  await post("/v1/messages", '{"metadata":{'+ks.slice(0,40000).map(k=>`"${k}":"\\n"`).join(",")+"}}");
  await post("/v1/agent-health-check/batch", '{"reports":['+Array(500000).fill("0").join(",")+"]}");
  await post("/v1/agent-health-check/batch", '{"reports":['+Array(500).fill("{"+ks.slice(0,200).map(k=>`"${k}":0`).join(",")+"}").join(",")+"]}");
  for (const t of [["0000-01-01T00:00:00.000Z","x"],["2026-01-01T00:00:00.000Z","\u0000"],["2026-01-01T00:00:00.000Z","\ud800"]]) { const r = await fetch(service.url+"/v1/agent-inboxes?pageToken="+Buffer.from(JSON.stringify(t)).toString("base64url")); console.log(JSON.stringify(t), r.status, await r.text()); }
  const { aiAgentAddress } = await kit.make.inbox();
  for (const t of ["0000-01-01T00:00:00Z","2026-01-01T00:00:00+23:00","2026-01-01T00:00:00."+"1".repeat(300)+"Z","9999-12-31T23:59:59-12:00"]) {
   await post("/v1/messages", JSON.stringify({recipientAddress:aiAgentAddress,senderAddress:"x",payload:{},deliverAfter:t}));
   const r = await fetch(service.url+"/v1/messages?after="+encodeURIComponent(t)); console.log(r.status, (await r.text()).slice(0,200));
   const r2 = await fetch(service.url+"/v1/messages"); console.log("list", r2.status, (await r2.text()).slice(0,200));
  }
});
