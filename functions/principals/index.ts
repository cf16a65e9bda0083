import { principalsCreateKey } from "./create-key.ts";
import { principalsDelete } from "./delete.ts";
import { principalsGet } from "./get.ts";
import { principalsList } from "./list.ts";
import { principalsPut } from "./put.ts";
import { principalsRevokeKey } from "./revoke-key.ts";

/** Who may call, and their keys. */
export const principals = [
  principalsPut,
  principalsGet,
  principalsList,
  principalsDelete,
  principalsCreateKey,
  principalsRevokeKey,
];
