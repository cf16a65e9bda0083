import { healthHistory } from "./history.ts";
import { healthReport } from "./report.ts";
import { healthReportBatch } from "./report-batch.ts";
import { healthSweep } from "./sweep.ts";

/** Whether agents are alive. */
export const health = [healthReport, healthReportBatch, healthHistory, healthSweep];
