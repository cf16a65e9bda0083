import { definitionsActivate } from "./activate.ts";
import { definitionsCreate } from "./create.ts";
import { definitionsDeleteVersion } from "./delete-version.ts";
import { definitionsDeprecate } from "./deprecate.ts";
import { definitionsDiff } from "./diff.ts";
import { definitionsExport } from "./export.ts";
import { definitionsGet } from "./get.ts";
import { definitionsHistory } from "./history.ts";
import { definitionsImport } from "./import.ts";
import { definitionsList } from "./list.ts";
import { definitionsMetrics } from "./metrics.ts";
import { definitionsPatch } from "./patch.ts";
import { definitionsPublish } from "./publish.ts";
import { definitionsRetire } from "./retire.ts";
import { definitionsVersions } from "./versions.ts";

/** What agents and teams of agents are, in versions. */
export const definitions = [
  definitionsCreate,
  definitionsImport,
  definitionsList,
  definitionsGet,
  definitionsVersions,
  definitionsPatch,
  definitionsPublish,
  definitionsDeprecate,
  definitionsActivate,
  definitionsDiff,
  definitionsExport,
  definitionsHistory,
  definitionsMetrics,
  definitionsDeleteVersion,
  definitionsRetire,
];
