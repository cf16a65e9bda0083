/** Missed reports after which a healthy inbox is SUSPECT: still routable. */
export const SUSPECT_AFTER_MISSED = 2;
/** Missed reports after which any watched inbox is OFFLINE: its messages are held, its leases return. */
export const OFFLINE_AFTER_MISSED = 4;

/** Fewest watched inboxes for which the brake is meant: of three agents, two may well die at once. */
export const BRAKE_MINIMUM = 20;

/**
 * Whether a sweep must hold back: more than half of at least 20 watched inboxes would go offline at once, which is far
 * likelier a fault between them and us than their death. `watched` need be counted only up to twice `goingOffline`.
 */
export function brakeHolds(goingOffline: number, watched: number): boolean {
  return watched >= BRAKE_MINIMUM && goingOffline * 2 > watched;
}
