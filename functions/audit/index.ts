import { auditList } from "./list.ts";
import { auditVerify } from "./verify.ts";

/** Who decided what. */
export const audit = [auditList, auditVerify];
