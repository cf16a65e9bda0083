/** What finished rows are kept in, cut by time: messages by the day, tasks by the month. */
export const ARCHIVES = ["message_archive", "task_archive"] as const;
export type Archive = (typeof ARCHIVES)[number];
