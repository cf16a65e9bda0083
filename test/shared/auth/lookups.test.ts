import { expect, test } from "vitest";
import { CACHE_MS, createLookups } from "../../../shared/auth/lookups.ts";

/** Look-ups of something that changes, by a clock that is set by hand. */
function setUp() {
  const world = { now: 5_000, state: "old" as string | undefined, asked: 0, open: () => {} };
  const lookups = createLookups<string | undefined>(() => world.now);
  const quick = async () => {
    world.asked++;
    return world.state;
  };
  /** Reads the state at once, and answers when told. */
  const slow = () => {
    world.asked++;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const seen = world.state;
    world.open = () => resolve(seen);
    return promise;
  };
  const find = async (look = quick, id = "id") => (await lookups(id, look)).value;
  return { world, find, quick, slow, lookups };
}

test("look-ups hold for a second", () => {
  expect(CACHE_MS).toBe(1000);
});

test.each(["old", undefined])(
  "what was found (%s) is not looked up again within the time, and is after it",
  async (state) => {
    const { world, find } = setUp();
    world.state = state;
    expect(await find()).toBe(state);
    world.state = "new";
    world.now += CACHE_MS - 1;
    expect(await find()).toBe(state);
    expect(world.asked).toBe(1);
    world.now += 1;
    expect(await find()).toBe("new");
    expect(world.asked).toBe(2);
  },
);

test("being found again does not prolong it", async () => {
  const { world, find } = setUp();
  for (let n = 0; n < 5; n++) {
    await find();
    world.now += CACHE_MS / 4;
  }
  expect(world.asked).toBe(2);
});

test("each id is looked up by itself", async () => {
  const { world, find } = setUp();
  await find(undefined, "one");
  await find(undefined, "two");
  expect(world.asked).toBe(2);
});

test("those who ask at the same time share a look-up", async () => {
  const { world, find, slow } = setUp();
  const all = Promise.all([find(slow), find(), find()]);
  world.open();
  expect(await all).toEqual(["old", "old", "old"]);
  expect(world.asked).toBe(1);
});

test("the time counts from before the look-up", async () => {
  const { world, find, slow } = setUp();
  const first = find(slow);
  world.state = "new";
  world.now += CACHE_MS - 1;
  world.open();
  expect(await first).toBe("old");
  world.now += 1;
  expect(await find()).toBe("new");
});

test("nobody joins a look-up that began too long ago", async () => {
  const { world, find, slow } = setUp();
  const first = find(slow);
  const { open } = world;
  world.state = "new";
  world.now += CACHE_MS;
  expect(await find()).toBe("new");
  open();
  expect(await first).toBe("new");
  expect(world.asked).toBe(2);
});

test("who waited too long is told what is true now", async () => {
  const { world, find, quick } = setUp();
  let count = 0;
  const late = async () => {
    const seen = await quick();
    if (count++ === 0) {
      world.state = "new";
      world.now += 3 * CACHE_MS;
    }
    return seen;
  };
  expect(await find(late)).toBe("new");
});

test("a database that is always too late is unavailable", async () => {
  const { world, find, quick } = setUp();
  const late = async () => {
    world.now += CACHE_MS;
    return quick();
  };
  await expect(find(late)).rejects.toMatchObject({ code: "database_unavailable", retryAfterSeconds: 1 });
  expect(world.asked).toBe(2);
});

test("a failure is everybody's who waits for it, and is not remembered", async () => {
  const { world, find } = setUp();
  const failing = () => Promise.reject(new Error("down"));
  const all = await Promise.allSettled([find(failing), find()]);
  expect(all.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(await find()).toBe("old");
  expect(world.asked).toBe(1);
});

test("a failure does not take away what was found since", async () => {
  const { world, find } = setUp();
  const { promise, reject } = Promise.withResolvers<undefined>();
  const first = find(() => promise);
  first.catch(() => {});
  world.now += CACHE_MS;
  await find();
  reject(new Error("down"));
  await expect(first).rejects.toThrow("down");
  await find();
  expect(world.asked).toBe(1);
});
