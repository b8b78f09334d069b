import { parseArgs } from 'node:util';
import type { ArgsDef } from 'citty';
import { UsageError } from './usage-error.ts';

type Options = NonNullable<Parameters<typeof parseArgs>[0]>['options'];

/**
 * Refuses undeclared arguments. citty silently accepts unknown flags, surplus words and flags without their value, and
 * a misspelled `--keep-sandboxes` must not end the sandboxes.
 */
export function checkArguments(rawArgs: readonly string[], definitions: ArgsDef): void {
  const entries = Object.entries(definitions);
  const flags = entries.filter(([, definition]) => definition.type !== 'positional');
  const positionals = entries.filter(([, definition]) => definition.type === 'positional');
  const options: Options = Object.fromEntries(
    flags.map(([name, definition]) => {
      const alias = 'alias' in definition && typeof definition.alias === 'string' ? { short: definition.alias } : {};
      return [name, { type: definition.type === 'boolean' ? 'boolean' : 'string', ...alias } as const];
    }),
  );
  const words = parse(rawArgs, options);
  const required = positionals.filter(([, definition]) => definition.required !== false);
  const missing = required[words.length];
  if (missing !== undefined) throw new UsageError(`Missing argument ${missing[0].toUpperCase()}.`);
  // `args` are the arguments of another program: any number, including everything after `--`.
  const surplus = positionals.at(-1)?.[0] === 'args' ? undefined : words[positionals.length];
  if (surplus !== undefined) throw new UsageError(`Unexpected argument ${JSON.stringify(surplus)}.`);
}

function parse(rawArgs: readonly string[], options: Options): string[] {
  try {
    return parseArgs({ args: [...rawArgs], options: options ?? {}, allowPositionals: true, strict: true }).positionals;
  } catch (error) {
    // The first sentence of Node's message explains the error; the rest is advice for programmers.
    const text = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${text.split('. ')[0] ?? text}.`.replace(/\.\.$/, '.'));
  }
}
