/** The right to one message: which message, and the secret drawn when it was leased. */
export interface Lease {
  messageId: string;
  token: string;
}

const UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const FORM = new RegExp(`^(${UUID})\\.(${UUID})$`);

/**
 * Reads a lease token, `<message id>.<secret>`: carrying the id, it is found by the primary key, and the secret needs no
 * index that every claim would have to maintain. Undefined when it is none.
 */
export function parseLease(leaseToken: string): Lease | undefined {
  const [, messageId, token] = FORM.exec(leaseToken) ?? [];
  return messageId && token ? { messageId, token } : undefined;
}
