import { inboxesDelete } from "./delete.ts";
import { inboxesGet } from "./get.ts";
import { inboxesList } from "./list.ts";
import { inboxesRegister } from "./register.ts";
import { inboxesRotateSecret } from "./rotate-secret.ts";
import { inboxesUpdate } from "./update.ts";

/** Where agents can be reached. */
export const inboxes = [inboxesRegister, inboxesList, inboxesGet, inboxesUpdate, inboxesDelete, inboxesRotateSecret];
