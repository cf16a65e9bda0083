import type { Outgoing } from "../../shared/outbound/destination.ts";

let number = 0;
/** A message on its way, unlike any other by its id and payload. */
export function messageOf(fields: Partial<Outgoing> = {}): Outgoing {
  number += 1;
  return {
    messageId: `01a1fd83-d8b4-7fad-95e3-${String(number).padStart(12, "0")}`,
    recipientAddress: "sales@corp.example",
    senderAddress: "billing@corp.example",
    messageType: "message",
    payload: { number },
    priority: "NORMAL",
    acceptedAt: "2026-11-21T10:00:00.000Z",
    attempt: 1,
    ...fields,
  };
}

export function many(count: number, fields?: Partial<Outgoing>): Outgoing[] {
  return Array.from({ length: count }, () => messageOf(fields));
}
