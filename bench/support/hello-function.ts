import { http } from "@google-cloud/functions-framework";

/** The least that a function can do: the floor that the framework sets. */
http("hello", (_, res) => {
  res.send("hello");
});
