import { subscriptionsCreate } from "./create.ts";
import { subscriptionsDelete } from "./delete.ts";
import { subscriptionsGet } from "./get.ts";
import { subscriptionsList } from "./list.ts";
import { subscriptionsMatch } from "./match.ts";

/** Who is to be told of which events. */
export const subscriptions = [
  subscriptionsCreate,
  subscriptionsMatch,
  subscriptionsGet,
  subscriptionsList,
  subscriptionsDelete,
];
