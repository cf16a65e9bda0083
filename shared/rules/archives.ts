/** What rows are kept in that are cut by time: messages and events by the day, tasks by the month. */
export const ARCHIVES = ["message_archive", "task_archive", "events"] as const;
export type Archive = (typeof ARCHIVES)[number];
