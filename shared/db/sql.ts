/** A piece of SQL with its parameters; pieces nest, parameters are numbered when the whole is written out. */
export class Sql {
  readonly strings: readonly string[];
  readonly values: readonly unknown[];
  /** Whether the server plans it anew at each run, for the values at hand. */
  readonly byValues: boolean;
  #text: string | undefined;

  constructor(strings: readonly string[], values: readonly unknown[], text?: string, byValues = false) {
    this.strings = strings;
    this.values = values;
    this.byValues = byValues;
    this.#text = text;
  }

  /** The statement with `$1`, `$2` … in the places of its parameters. */
  get text(): string {
    this.#text ??= this.strings.reduce((text, part, index) => `${text}$${index}${part}`);
    return this.#text;
  }
}

const written = new WeakMap<TemplateStringsArray, { pieces: unknown[]; statement: Sql }>();

/**
 * SQL as a tagged template: `sql\`select … where id = ${id}\``. A value becomes a parameter, another `Sql` becomes part
 * of the text; there is no other way in, so no value can ever be read as SQL.
 */
export function sql(strings: TemplateStringsArray, ...values: unknown[]): Sql {
  const pieces = values.filter((value) => value instanceof Sql);
  // Most statements are the same text at every call, made of constant pieces: written out once, 4 µs saved a call.
  const known = written.get(strings);
  if (known && known.pieces.length === pieces.length && known.pieces.every((piece, i) => piece === pieces[i])) {
    const parameters = pieces.length === 0 ? values : values.filter((value) => !(value instanceof Sql));
    return new Sql(known.statement.strings, parameters, known.statement.text);
  }
  const texts = [strings[0] as string];
  const parameters: unknown[] = [];
  const append = (text: string) => {
    texts[texts.length - 1] += text;
  };
  values.forEach((value, index) => {
    if (value instanceof Sql) {
      append(value.strings[0] as string);
      texts.push(...value.strings.slice(1));
      parameters.push(...value.values);
    } else {
      texts.push("");
      parameters.push(value);
    }
    append(strings[index + 1] as string);
  });
  const statement = new Sql(texts, parameters);
  if (pieces.every((piece) => piece.values.length === 0)) written.set(strings, { pieces, statement });
  return statement;
}

/** Conditions combined with `and`; none is `true`. Entries that are not there are left out. */
export function and(conditions: readonly (Sql | undefined | false)[]): Sql {
  const given = conditions.filter((condition) => condition instanceof Sql);
  if (given.length === 0) return sql`true`;
  return given.reduce((left, right) => sql`${left} and ${right}`);
}

/** Conditions combined with `or`, in parentheses; none is `false`. Entries that are not there are left out. */
export function or(conditions: readonly (Sql | undefined | false)[]): Sql {
  const given = conditions.filter((condition) => condition instanceof Sql);
  if (given.length === 0) return sql`false`;
  return sql`(${given.reduce((left, right) => sql`${left} or ${right}`)})`;
}

/** Pieces separated by commas. */
export function list(pieces: readonly Sql[]): Sql {
  return pieces.reduce((left, right) => sql`${left}, ${right}`);
}

/** Text that is SQL itself: only ever for constants written in this code. */
export function raw(text: string): Sql {
  return new Sql([text], []);
}

/**
 * The same statement, planned for its values at each run, which takes about a millisecond: for searches, whose right plan
 * is another for a word that few have than for one that all have.
 */
export function byValues(statement: Sql): Sql {
  return new Sql(statement.strings, statement.values, undefined, true);
}
