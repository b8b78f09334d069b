import { parseArgs } from 'node:util';
import { UsageError } from './usage-error.ts';

/** All values of a flag that may be given more than once. The parser of commands keeps only the last. */
export function repeatedFlag(rawArgs: readonly string[], name: string): string[] {
  const { values } = parseArgs({
    args: [...rawArgs],
    options: { [name]: { type: 'string', multiple: true } },
    allowPositionals: true,
    strict: false,
  });
  return ([values[name]].flat() as (string | undefined)[]).filter((value) => value !== undefined);
}

/** The pairs of such a flag, for example `KEY=VALUE`, split at `separator`. Throws UsageError. */
export function pairsFlag(rawArgs: readonly string[], name: string, separator = '='): Record<string, string> {
  return Object.fromEntries(
    repeatedFlag(rawArgs, name).map((text) => {
      const at = text.indexOf(separator);
      if (at < 1) throw new UsageError(`--${name} must be NAME${separator}VALUE, not ${JSON.stringify(text)}.`);
      const value = text.slice(at + 1);
      // As in HTTP, a space may follow the colon. A variable has each character that was given.
      return [text.slice(0, at), separator === ':' ? value.trimStart() : value];
    }),
  );
}
