/** A row as it was recorded: its columns with their values. */
export type Row = Record<string, unknown>;

const isTime = (column: string) => /_(at|until|timestamp)$/.test(column);

/** A row in the words of the API: columns without a value are left out. */
export function inWords(row: Row): Row {
  const named = (column: string) => column.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(
    Object.entries(row)
      .filter(([, value]) => value !== null)
      .map(([column, value]) => [named(column), isTime(column) ? new Date(String(value)).toISOString() : value]),
  );
}
