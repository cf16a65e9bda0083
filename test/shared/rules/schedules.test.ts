import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  cronFault,
  type Misfire,
  nextTimes,
  plan,
  type Run,
  type Schedule,
  timeZoneFault,
} from "../../../shared/rules/schedules.ts";

const MINUTE = 60_000;
const DAY = 1440 * MINUTE;
const at = (text: string) => new Date(text);
const texts = (times: Date[]) => times.map((time) => time.toISOString().replace(":00.000Z", "Z"));

describe("a cron expression", () => {
  test.each([
    "* * * * *",
    "*/15 9-17 * * MON-FRI",
    "0 0 1 JAN,jul *",
    "0 0 * * 7",
    " 30  2\t* * * ",
    "0 0 29 2 *",
    "0 0 29 2 +MON",
    "0 0 L * *",
    "0 9 * * MON#1",
    "@hourly",
    "@Daily",
    "@weekly",
    "@monthly",
    "@yearly",
  ])("%j", (cron) => {
    expect(cronFault(cron)).toBeUndefined();
  });

  test.each([
    "",
    "   ",
    "* * * *",
    "* * * * * *",
    "0 0 0 1 1 * 2027",
    "2027-01-01T00:00:00",
    "2027-01-01 00:00:00 * * *",
    "@reboot",
    "@every",
    "@hourly 5",
    "hourly",
    "0\n0 * * *",
    "0\u00a00 * * *",
    `${"1,".repeat(130)}1 * * * *`,
  ])("%j has not the form of one", (cron) => {
    expect(cronFault(cron)).toMatch(/^must be minute, hour, day of month, month and day of week/);
  });

  test.each([
    ["60 * * * *", "Invalid value for minute: 60"],
    ["* 24 * * *", "Invalid value for hour: 24"],
    ["* * 32 * *", "Invalid value for day: 31"],
    ["* * * 13 *", "Invalid value for month: 12"],
    ["* * * * 8", "Invalid value for dayOfWeek: 8"],
    ["*/0 * * * *", "illegal stepping: 0"],
    ["5-1 * * * *", "From value is larger than to value"],
    ["a b c d e", "illegal characters"],
    ["@hourly * * * *", "illegal characters"],
    ["1,,2 * * * *", "is empty"],
    ["0 0 * * FRIDAY", "name has to stand alone"],
  ])("%s is none: %s", (cron, reason) => {
    expect(cronFault(cron)).toMatch(/^is no cron expression: /);
    expect(cronFault(cron)).toContain(reason);
  });

  test.each(["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "* * 31W 2 *"])("%s never fires", (cron) => {
    expect(cronFault(cron)).toBe("must fire some day");
  });
});

test.each([
  "UTC",
  "Europe/Berlin",
  "Asia/Kolkata",
  "Asia/Calcutta",
  "America/Argentina/Ushuaia",
  "Etc/GMT+5",
  "utc",
  "EST",
])("%s is a time zone", (zone) => {
  expect(timeZoneFault(zone)).toBeUndefined();
});

test.each(["", " UTC", "Europe", "Mars/Base", "+02:00", "-01", "GMT+2", "Z", "CEST", "BST", "ist", "local"])(
  "%j is no time zone",
  (zone) => {
    expect(timeZoneFault(zone)).toBe("must be the IANA name of a time zone, such as Europe/Berlin or UTC");
  },
);

describe("the next times", () => {
  test.each<[string, string, string, string[]]>([
    ["UTC", "*/20 * * * *", "2026-11-10T12:20Z", ["2026-11-10T12:40Z", "2026-11-10T13:00Z", "2026-11-10T13:20Z"]],
    ["UTC", "* * * * *", "2026-11-10T12:20:59.999Z", ["2026-11-10T12:21Z", "2026-11-10T12:22Z"]],
    ["UTC", "* * * * *", "2026-11-10T12:21:00.001Z", ["2026-11-10T12:22Z"]],
    ["UTC", "0 0 29 2 *", "2026-11-10T00:00Z", ["2028-02-29T00:00Z", "2032-02-29T00:00Z"]],
    ["UTC", "0 12 13 * FRI", "2026-11-10T00:00Z", ["2026-11-13T12:00Z", "2026-11-20T12:00Z", "2026-11-27T12:00Z"]],
    ["UTC", "@monthly", "2026-11-10T00:00Z", ["2026-12-01T00:00Z", "2027-01-01T00:00Z"]],
    ["europe/berlin", "0 9 * * MON", "2027-03-20T00:00Z", ["2027-03-22T08:00Z", "2027-03-29T07:00Z"]],
    ["Asia/Kolkata", "30 2 * * *", "2027-03-27T00:00Z", ["2027-03-27T21:00Z", "2027-03-28T21:00Z"]],
    ["Asia/Kathmandu", "*/30 * * * *", "2027-03-27T00:00Z", ["2027-03-27T00:15Z", "2027-03-27T00:45Z"]],
  ])("%s, %s after %s", (timeZone, cron, after, expected) => {
    expect(texts(nextTimes({ cron, timeZone }, at(after), expected.length))).toEqual(expected);
  });

  test("of what runs once are that time, if it is still to come", () => {
    const runAt = at("2026-11-10T12:00:00.500Z");
    expect(nextTimes({ runAt }, at("2026-11-10T12:00:00.499Z"), 5)).toEqual([runAt]);
    expect(nextTimes({ runAt }, runAt, 5)).toEqual([]);
  });

  test("are none when none is asked for, nor where the zone never shows them", () => {
    expect(nextTimes({ cron: "* * * * *", timeZone: "UTC" }, at("2026-11-10T12:00Z"), 0)).toEqual([]);
    // 29 March is a Sunday, so it is the one on which 02:00 to 03:00 is left out.
    const never = { cron: "*/15 2 29 3 +SUN", timeZone: "Europe/Berlin" };
    expect(nextTimes(never, at("2026-11-10T12:00Z"), 1)).toEqual([]);
    expect(plan(never, at("2026-11-10T12:00Z"), at("2026-11-10T12:00Z"), { misfire: "all" }).next).toBeUndefined();
  });
});

describe("when clocks change", () => {
  test.each<[string, string, string, string, string[]]>([
    ["in the gap", "Europe/Berlin", "30 2 * * *", "2027-03-27T00:00Z", ["27T01:30Z", "28T01:00Z", "29T00:30Z"]],
    ["in the gap", "Europe/Berlin", "0,30 2 * * *", "2027-03-27T01:00Z", ["27T01:30Z", "28T01:00Z", "29T00:00Z"]],
    ["in the gap", "Europe/Berlin", "30 2-3 * * *", "2027-03-27T12:00Z", ["28T01:00Z", "28T01:30Z", "29T00:30Z"]],
    ["in the gap", "Europe/Berlin", "*/30 2 * * *", "2027-03-27T01:00Z", ["27T01:30Z", "29T00:00Z", "29T00:30Z"]],
    ["in the gap", "Europe/Berlin", "*/30 * * * *", "2027-03-28T00:00Z", ["28T00:30Z", "28T01:00Z", "28T01:30Z"]],
    ["in the gap", "Europe/Berlin", "30 2 28 3 *", "2027-03-27T01:00Z", ["28T01:00Z"]],
    ["twice", "Europe/Berlin", "30 2 * * *", "2027-10-30T12:00Z", ["31T00:30Z", "01T01:30Z"]],
    ["twice", "Europe/Berlin", "30 2 * * *", "2027-10-31T00:45Z", ["01T01:30Z"]],
    ["twice", "Europe/Berlin", "0,30 2 * * *", "2027-10-30T12:00Z", ["31T00:00Z", "31T00:30Z", "01T01:00Z"]],
    [
      "twice",
      "Europe/Berlin",
      "*/30 2 * * *",
      "2027-10-31T00:00Z",
      ["31T00:30Z", "31T01:00Z", "31T01:30Z", "01T01:00Z"],
    ],
    ["twice", "Europe/Berlin", "@hourly", "2027-10-30T23:00Z", ["31T00:00Z", "31T01:00Z", "31T02:00Z"]],
    ["in the gap", "America/New_York", "30 2 * * *", "2027-03-13T12:00Z", ["14T07:00Z", "15T06:30Z"]],
    ["twice", "America/New_York", "30 1 * * *", "2027-11-06T12:00Z", ["07T05:30Z", "08T06:30Z"]],
    ["twice", "America/New_York", "30 * * * *", "2027-11-07T05:00Z", ["07T05:30Z", "07T06:30Z", "07T07:30Z"]],
    ["in half an hour's gap", "Australia/Lord_Howe", "15 2 * * *", "2027-10-01T16:00Z", ["02T15:30Z", "03T15:15Z"]],
    ["in half an hour's gap", "Australia/Lord_Howe", "*/20 2 * * *", "2027-10-02T00:00Z", ["02T15:40Z", "03T15:00Z"]],
    ["twice within half an hour", "Australia/Lord_Howe", "45 1 * * *", "2027-04-03T00:00Z", ["03T14:45Z", "04T15:15Z"]],
    [
      "twice within half an hour",
      "Australia/Lord_Howe",
      "*/15 1 * * *",
      "2027-04-03T14:15Z",
      ["03T14:30Z", "03T14:45Z", "03T15:00Z", "03T15:15Z", "04T14:30Z"],
    ],
    ["in a gap at midnight", "Africa/Cairo", "0 0 * * *", "2027-04-29T00:00Z", ["29T22:00Z", "30T21:00Z"]],
  ])("%s, %s, %s after %s", (_, timeZone, cron, after, expected) => {
    const times = texts(nextTimes({ cron, timeZone }, at(after), expected.length));
    expect(times.map((time) => time.slice("2027-03-".length))).toEqual(expected);
  });
});

describe("a plan", () => {
  const hourly: Schedule = { cron: "@hourly", timeZone: "UTC" };
  const told = (runs: Run[]) =>
    runs.map(({ scheduledFor, outcome, late }) => `${texts([scheduledFor])} ${outcome}${late ? " late" : ""}`);
  const planned = (nextRunAt: string, now: string, misfire: Misfire, schedule: Schedule = hourly) => {
    const { runs, next } = plan(schedule, at(nextRunAt), at(now), { misfire });
    return [...told(runs), ...(next ? texts([next]) : [])];
  };

  test.each<[Misfire, string, string, string[]]>([
    ["skip", "03:00Z", "03:00:00Z", ["03:00Z FIRED", "04:00Z"]],
    ["skip", "03:00Z", "03:02:00Z", ["03:00Z FIRED", "04:00Z"]],
    ["skip", "03:00Z", "03:02:00.001Z", ["03:00Z SKIPPED late", "04:00Z"]],
    ["skip", "01:00Z", "03:01:00Z", ["01:00Z SKIPPED late", "02:00Z SKIPPED late", "03:00Z FIRED", "04:00Z"]],
    ["once", "01:00Z", "03:01:00Z", ["01:00Z SKIPPED late", "02:00Z SKIPPED late", "03:00Z FIRED", "04:00Z"]],
    ["once", "01:00Z", "03:03:00Z", ["01:00Z SKIPPED late", "02:00Z SKIPPED late", "03:00Z FIRED late", "04:00Z"]],
    ["once", "03:00Z", "03:59:59Z", ["03:00Z FIRED late", "04:00Z"]],
    ["all", "01:00Z", "03:01:00Z", ["01:00Z FIRED late", "02:00Z FIRED late", "03:00Z FIRED", "04:00Z"]],
    ["all", "01:00Z", "03:03:00Z", ["01:00Z FIRED late", "02:00Z FIRED late", "03:00Z FIRED late", "04:00Z"]],
    ["all", "02:00Z", "03:00:00Z", ["02:00Z FIRED late", "03:00Z FIRED", "04:00Z"]],
    ["all", "03:30Z", "03:31:00Z", ["03:30Z FIRED", "04:00Z"]],
    ["all", "05:00Z", "03:31:00Z", ["05:00Z"]],
  ])("%s, due at %s, at %s: %j", (misfire, due, now, expected) => {
    const day = "2026-11-10T";
    expect(planned(`${day}${due}`, `${day}${now}`, misfire)).toEqual(expected.map((one) => day + one));
  });

  test("of a time of its own fires it once, and then there is no next", () => {
    const runAt = at("2026-11-10T03:00Z");
    const once = (now: string, misfire: Misfire) => planned("2026-11-10T03:00Z", now, misfire, { runAt });
    expect(once("2026-11-10T03:01Z", "skip")).toEqual(["2026-11-10T03:00Z FIRED"]);
    expect(once("2026-11-10T04:00Z", "skip")).toEqual(["2026-11-10T03:00Z SKIPPED late"]);
    expect(once("2026-11-12T04:00Z", "once")).toEqual(["2026-11-10T03:00Z FIRED late"]);
    expect(once("2026-11-12T04:00Z", "all")).toEqual(["2026-11-10T03:00Z FIRED late"]);
    expect(once("2026-12-11T04:00Z", "all")).toEqual(["2026-11-10T03:00Z FIRED late"]);
  });

  test("makes up for the latest hundred at most, beside those on time", () => {
    const everyMinute: Schedule = { cron: "* * * * *", timeZone: "Europe/Berlin" };
    const { runs } = plan(everyMinute, at("2026-11-10T00:00Z"), at("2026-11-10T12:00:30Z"), { misfire: "all" });
    expect(runs).toHaveLength(721);
    expect(told(runs.filter(({ outcome }) => outcome === "FIRED"))).toEqual([
      ...Array.from(
        { length: 100 },
        (_, n) => `${texts([new Date(+at("2026-11-10T10:19Z") + n * MINUTE)])} FIRED late`,
      ),
      ...["2026-11-10T11:59Z FIRED", "2026-11-10T12:00Z FIRED"],
    ]);
  });

  test.each(["UTC", "Europe/Berlin"])(
    "says nothing of what is longer ago than is kept: a year of minutes in %s",
    (timeZone) => {
      const now = at("2026-11-10T12:00:30Z");
      const { runs, next } = plan({ cron: "* * * * *", timeZone }, at("2025-11-10T12:00Z"), now, { misfire: "once" });
      expect(runs).toHaveLength(30 * 1440);
      expect(texts([runs[0], runs.at(-1)].map((run) => run?.scheduledFor as Date))).toEqual([
        "2026-10-11T12:01Z",
        "2026-11-10T12:00Z",
      ]);
      expect(next).toEqual(at("2026-11-10T12:01Z"));
    },
  );

  test("of a rare time is the same however long ago it was", () => {
    const yearly = { cron: "0 0 1 1 *", timeZone: "UTC" };
    const now = at("2026-11-10T12:00Z");
    expect(plan(yearly, at("2026-01-01T00:00Z"), now, { misfire: "once" }).runs).toMatchObject([{ outcome: "FIRED" }]);
    const once = { runAt: at("2020-01-01T00:00Z") };
    expect(plan(once, once.runAt, now, { misfire: "once" })).toMatchObject({
      runs: [{ outcome: "FIRED", late: true }],
    });
    expect(plan(once, once.runAt, now, { misfire: "skip" })).toMatchObject({ runs: [{ outcome: "SKIPPED" }] });
  });

  test("is what the clock of the zone says when it is read in every minute, for outages of up to a week over its changes", () => {
    const spans: Span[] = [
      spanOf("Europe/Berlin", "2027-03-28"),
      spanOf("Europe/Berlin", "2027-10-31"),
      spanOf("America/New_York", "2027-11-07"),
      spanOf("Australia/Lord_Howe", "2027-04-04"),
      spanOf("Australia/Lord_Howe", "2027-10-03"),
      spanOf("Asia/Kolkata", "2027-03-28"),
    ];
    const crons = [
      "* * * * *",
      "*/15 * * * *",
      "7-59/13 1-3 * * *",
      "30 2 * * *",
      "0,15,45 1,2,3 * * *",
      "0 */5 * * *",
    ];
    fc.assert(
      fc.property(
        fc.nat(spans.length - 1),
        fc.constantFrom(...crons, "30 1-2 * * SUN,TUE", "10 2 */2 * *", "59 23 */2 * MON"),
        fc.integer({ min: 0, max: 7 * 1440 }),
        fc.oneof(fc.integer({ min: 1000, max: 7 * DAY }), fc.integer({ min: 1000, max: 600_000 })),
        fc.constantFrom<Misfire>("skip", "once", "all"),
        (index, cron, start, outage, misfire) => {
          const { zone, walls } = spans[index] as Span;
          const times = timesOf(cron, walls);
          const first = walls[0]?.time ?? 0;
          const nextRunAt = times.find((time) => time > first + start * MINUTE) as number;
          const now = nextRunAt + outage;
          const due = times.filter((time) => time >= nextRunAt && time <= now);
          const isLate = (time = now) => now - time > 120_000;
          const wanted = due.map((time, nth) => {
            const isCaughtUp = { skip: false, once: nth === due.length - 1, all: !isLate(due[nth + 100]) }[misfire];
            return `${time} ${isLate(time) && !isCaughtUp ? "SKIPPED" : "FIRED"} ${isLate(time)}`;
          });
          const made = plan({ cron, timeZone: zone }, new Date(nextRunAt), new Date(now), { misfire });
          const runs = made.runs.map(
            ({ scheduledFor, outcome, late }) => `${scheduledFor.getTime()} ${outcome} ${late}`,
          );
          expect(runs.join("\n")).toBe(wanted.join("\n"));
          expect(made.next?.getTime()).toBe(times.find((time) => time > now));
        },
      ),
      { numRuns: 100 },
    );
  }, 60_000);
});

/** What the clock on the wall shows in a minute, `wall` as if it were in UTC. */
interface Wall {
  time: number;
  wall: number;
}
interface Span {
  zone: string;
  walls: Wall[];
}

/** Eight days before and nineteen after. */
function spanOf(zone: string, day: string): Span {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    dateStyle: "short",
    timeStyle: "short",
    hourCycle: "h23",
  });
  const first = at(`${day}T00:00Z`).getTime() - 8 * DAY;
  const walls = Array.from({ length: 27 * 1440 }, (_, n) => {
    const time = first + n * MINUTE;
    const [month = 0, date = 0, year = 0, hour = 0, minute = 0] = (format.format(time).match(/\d+/g) ?? []).map(Number);
    return { time, wall: Date.UTC(2000 + year, month - 1, date, hour, minute) };
  });
  return { zone, walls };
}

function timesOf(cron: string, walls: Wall[]): number[] {
  const fits = matcherOf(cron);
  const isFixed = !/[*/]/.test(cron.split(" ").slice(0, 2).join(""));
  let latest = Number.NEGATIVE_INFINITY;
  return walls
    .filter(({ wall }) => {
      if (!isFixed) return fits(wall);
      if (wall <= latest) return false;
      const shown = [wall];
      for (let missing = wall - MINUTE; Number.isFinite(latest) && missing > latest; missing -= MINUTE)
        shown.push(missing);
      latest = wall;
      return shown.some(fits);
    })
    .map(({ time }) => time);
}

function matcherOf(cron: string): (wall: number) => boolean {
  const words = cron.replace("SUN", "0").replace("MON", "1").replace("TUE", "2").split(" ");
  const [minutes, hours, days, , weekdays] = words.map((field, index) => valuesOf(field, index === 2 ? 1 : 0));
  const isEither = words[2] !== "*" && words[4] !== "*";
  return (wall) => {
    const date = new Date(wall);
    if (!minutes?.has(date.getUTCMinutes()) || !hours?.has(date.getUTCHours())) return false;
    const [isDay, isWeekday] = [days?.has(date.getUTCDate()) === true, weekdays?.has(date.getUTCDay()) === true];
    return isEither ? isDay || isWeekday : isDay && isWeekday;
  };
}

function valuesOf(field: string, lowest: number): Set<number> {
  const parts = field.split(",").flatMap((part) => {
    const [range = "", step = "1"] = part.split("/");
    const [from = lowest, to = from] = range.startsWith("*") ? [lowest, 59] : range.split("-").map(Number);
    return Array.from({ length: to - from + 1 }, (_, n) => from + n).filter((n) => (n - from) % Number(step) === 0);
  });
  return new Set(parts);
}
