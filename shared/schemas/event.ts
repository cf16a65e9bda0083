import * as z from "zod";

/** What happened, in dot-separated segments; a pattern's `*` and `#` are none of its characters. */
export const EventType = z
  .string()
  .max(255)
  .regex(
    /^[^.*#\s\p{C}\p{Z}]+(?:\.[^.*#\s\p{C}\p{Z}]+)*$/u,
    "must be segments separated by dots, without white space, control characters, * and #",
  )
  .meta({ id: "EventType", example: "order.created" });
