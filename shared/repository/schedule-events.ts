import type * as z from "zod";
import type { EventToPublish } from "../rules/cloud-events.ts";
import type { Schedule } from "../schemas/schedule.ts";

/** The event of a schedule for one of its times, RFC 3339: the same id each time it is made. */
export function eventOf(
  {
    scheduleId,
    name,
    eventType,
    payload,
    priority,
  }: Pick<z.output<typeof Schedule>, "scheduleId" | "name" | "eventType" | "payload" | "priority">,
  scheduledFor: string,
): EventToPublish {
  return {
    type: eventType,
    id: scheduledFor,
    source: `/v1/schedules/${scheduleId}`,
    subject: name,
    time: scheduledFor,
    priority,
    ...(payload !== undefined && { data: payload, datacontenttype: "application/json" }),
  };
}
