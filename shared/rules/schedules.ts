import { Cron } from "croner";

/** When something happens: again and again by a clock on the wall of a time zone, or once. */
export type Schedule = { cron: string; timeZone: string } | { runAt: Date };

/** What becomes of times that nobody was there for: none fires, the latest does, or all do. */
export type Misfire = "skip" | "once" | "all";

/** How far past a time may be and still be on time: two calls of a function that comes every minute. */
export const GRACE_SECONDS = 120;
/** Most missed times that fire at once, the latest ones. */
export const MAX_CAUGHT_UP = 100;
/** Most times of which a record is made at once: every minute of 30 days. */
const MOST_RECORDS = 43_200;
/** Where there are more, those of this long ago: records are not kept longer, if nobody says otherwise. */
const LONG_AGO = MOST_RECORDS * 60_000;

/** What became of one time that came due; `late` is what is past its grace. */
export interface Run {
  scheduledFor: Date;
  outcome: "FIRED" | "SKIPPED";
  late: boolean;
}

export interface Plan {
  /** Every time that is due, oldest first. */
  runs: Run[];
  /** When it is due again; undefined when it never is. */
  next: Date | undefined;
}

// Lists and ranges (30 2,14 * * *) are fixed times, as for cron itself; croner alone takes them for intervals.
const RULES = { fixedTimeRule: "no-wildcard" } as const;
const FORM =
  "must be minute, hour, day of month, month and day of week, such as 0 6 * * MON-FRI, or one of @hourly, @daily, @weekly, @monthly, @yearly";
const HOUR = 3_600_000;
/** Of ICU alone, and seldom what is meant: BST is Dhaka's, ECT Paris's, AST Anchorage's. */
const ABBREVIATIONS =
  /^(ACT|AET|AGT|ART|AST|BET|BST|CAT|CNT|CST|CTT|EAT|ECT|IET|IST|JST|MIT|NET|NST|PLT|PNT|PRT|PST|SST|VST)$/i;

/** What is wrong with a cron expression, that it never fires included; undefined when nothing is. */
export function cronFault(cron: string): string | undefined {
  const fields = cron.trim().split(/[ \t]+/);
  // croner reads a text with a colon as a date.
  if (cron.length > 255 || /[^\t\x20-\x7e]|:/.test(cron) || (fields.length !== 5 && !/^@\w+$/.test(cron.trim())))
    return FORM;
  try {
    const first = new Cron(cron, { ...RULES, utcOffset: 0 }).nextRun(new Date(0));
    return first ? undefined : "must fire some day";
  } catch (error) {
    const reason = (error as Error).message.replace(/^CronPattern: (Syntax error, )?/, "");
    return fields.length === 5 ? `is no cron expression: ${reason}` : FORM;
  }
}

/** What is wrong with the name of a time zone; undefined when nothing is. */
export function timeZoneFault(timeZone: string): string | undefined {
  const fault = "must be the IANA name of a time zone, such as Europe/Berlin or UTC";
  // Intl knows offsets such as +02:00 as well: no zone, as summer never comes.
  if (!/^[A-Za-z]/.test(timeZone) || ABBREVIATIONS.test(timeZone)) return fault;
  try {
    Intl.DateTimeFormat("en-US", { timeZone });
    return undefined;
  } catch {
    return fault;
  }
}

/**
 * The next times, at most so many, all after the given one.
 *
 * When clocks change it is as with cron. A fixed time (no `*` or step in minute and hour) that a change leaves out comes
 * right after it, once however many meet there, and one that the clock shows twice comes at the first. What has a `*` or
 * a step keeps its rhythm: it comes in both of two equal hours, and not in one that there is not.
 */
export function nextTimes(schedule: Schedule, after: Date, count: number): Date[] {
  const times: Date[] = [];
  if (count > 0)
    for (const time of timesAfter(schedule, after)) {
      times.push(time);
      if (times.length >= count) break;
    }
  return times;
}

/**
 * Decides over a schedule that is due: what fires of `nextRunAt` and all times since, up to and including `now`. What is
 * on time fires whatever the policy, and stands for what `once` would make up for. Where more than 43,200 times are due,
 * those longer ago than 30 days are left out.
 */
export function plan(schedule: Schedule, nextRunAt: Date, now: Date, { misfire }: { misfire: Misfire }): Plan {
  if (nextRunAt > now) return { runs: [], next: nextRunAt };
  const all = dueFrom(schedule, nextRunAt, now);
  const { due, next } =
    all.due.length <= MOST_RECORDS ? all : dueFrom(schedule, firstAfter(schedule, new Date(+now - LONG_AGO)), now);
  const missed = due.filter((time) => now.getTime() - time.getTime() > GRACE_SECONDS * 1000).length;
  const isOnTime = missed < due.length;
  const caughtUp = { skip: 0, once: isOnTime ? 0 : 1, all: MAX_CAUGHT_UP }[misfire];
  const runs = due.map((scheduledFor, index): Run => {
    const late = index < missed;
    return { scheduledFor, outcome: !late || index >= missed - caughtUp ? "FIRED" : "SKIPPED", late };
  });
  return { runs, next };
}

/** The times from the first one to `now`, at most one more than there may be records of, and the one behind them. */
function dueFrom(schedule: Schedule, first: Date, now: Date): { due: Date[]; next: Date | undefined } {
  const due = [first];
  for (const time of timesAfter(schedule, first)) {
    if (time > now || due.length > MOST_RECORDS) return { due, next: time };
    due.push(time);
  }
  return { due, next: undefined };
}

function firstAfter(schedule: Schedule, after: Date): Date {
  const [first] = nextTimes(schedule, after, 1);
  if (!first) throw new Error("a schedule that was due often is due no more");
  return first;
}

function* timesAfter(schedule: Schedule, after: Date): Generator<Date, void, undefined> {
  if ("runAt" in schedule) {
    if (schedule.runAt > after) yield schedule.runAt;
    return;
  }
  const { cron } = schedule;
  // One spelling for each zone: croner keeps what it made for a name for good.
  const { timeZone } = new Intl.DateTimeFormat("en-US", { timeZone: schedule.timeZone }).resolvedOptions();
  const inZone = new Cron(cron, { ...RULES, timezone: timeZone });
  let steady: Steady | undefined;
  for (let time = inZone.nextRun(after); time; ) {
    yield time;
    if (!steady || time.getTime() >= steady.until) steady = steadyFrom(time, cron, timeZone);
    const quick: Date | null | undefined = steady.cron?.nextRun(time);
    time = quick && quick.getTime() <= steady.until ? quick : inZone.nextRun(time);
  }
}

/** Some hours in which a zone's clocks are not changed: the cron of its offset is enough. */
interface Steady {
  until: number;
  cron: Cron | undefined;
}

// No fixed time comes in the second of two equal hours, and an interval may start anywhere, so nothing before matters.
// croner takes 0.1 ms for a time in a zone and 0.007 ms for one at an offset: a month of minutes, 4 s and 0.3 s.
function steadyFrom(time: Date, cron: string, timeZone: string): Steady {
  const at = time.getTime();
  const until = at + 6 * HOUR;
  const [offset, after] = offsetsOf(timeZone, [at, until]);
  if (offset === undefined || after !== offset) return { until: at, cron: undefined };
  return { until, cron: new Cron(cron, { ...RULES, utcOffset: offset }) };
}

/** Minutes east of Greenwich at each of the times; undefined for what is no whole number of minutes. */
function offsetsOf(timeZone: string, times: number[]): (number | undefined)[] {
  const format = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
  return times.map((time) => {
    const [, sign, hours, minutes] = /GMT(?:([+-])(\d\d):(\d\d))?$/.exec(format.format(time)) ?? [];
    if (sign === undefined) return format.format(time).endsWith("GMT") ? 0 : undefined;
    return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes));
  });
}
