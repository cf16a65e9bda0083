export function audit(_context: unknown) {
  return {};
}
