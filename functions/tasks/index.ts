import { tasksApprove } from "./approve.ts";
import { tasksCancel } from "./cancel.ts";
import { tasksClaim } from "./claim.ts";
import { tasksComplete } from "./complete.ts";
import { tasksFail } from "./fail.ts";
import { tasksGet } from "./get.ts";
import { tasksList } from "./list.ts";
import { tasksProgress } from "./progress.ts";
import { tasksRate } from "./rate.ts";
import { tasksReject } from "./reject.ts";
import { tasksSubmit } from "./submit.ts";
import { tasksSubmitPooled } from "./submit-pooled.ts";

/** Work for agents, from its submission to its end. */
export const tasks = [
  tasksSubmit,
  tasksSubmitPooled,
  tasksClaim,
  tasksProgress,
  tasksComplete,
  tasksFail,
  tasksCancel,
  tasksApprove,
  tasksReject,
  tasksRate,
  tasksGet,
  tasksList,
];
