import { parseArgs } from 'node:util';
import type { ArgsDef } from 'citty';
import { UsageError } from './usage-error.ts';

type Options = NonNullable<NonNullable<Parameters<typeof parseArgs>[0]>['options']>;

/**
 * Refuses undeclared arguments. citty silently accepts unknown flags, surplus words and flags without their value, and
 * a misspelled `--keep-sandboxes` must not end the sandboxes. Returns the values of the flags.
 */
export function checkArguments(rawArgs: readonly string[], definitions: ArgsDef): Record<string, unknown> {
  const entries = Object.entries(definitions);
  const positionals = entries.filter(([, definition]) => definition.type === 'positional');
  const { positionals: words, values } = parse(rawArgs, optionsFrom(definitions));
  const required = positionals.filter(([, definition]) => definition.required !== false);
  const missing = required[words.length];
  if (missing !== undefined) throw new UsageError(`Missing argument ${missing[0].toUpperCase()}.`);
  // Any number: `args` are the arguments of another program, including everything after `--`.
  const isRepeated = ['args', 'ports'].includes(positionals.at(-1)?.[0] ?? '');
  const surplus = isRepeated ? undefined : words[positionals.length];
  if (surplus !== undefined) throw new UsageError(`Unexpected argument ${JSON.stringify(surplus)}.`);
  return values;
}

/**
 * Puts `--` behind the word that names a program (`command`, followed by `args`), so that the options after it are those
 * of the program.
 */
export function endOptionsAtCommand(rawArgs: readonly string[], definitions: ArgsDef): readonly string[] {
  const positionals = Object.keys(definitions).filter((name) => definitions[name]?.type === 'positional');
  const place = positionals.indexOf('command');
  if (place < 0 || positionals[place + 1] !== 'args') return rawArgs;
  const { tokens } = parseArgs({
    ...{ args: [...rawArgs], options: optionsFrom(definitions), allowPositionals: true, strict: false, tokens: true },
  });
  const word = tokens.filter(({ kind }) => kind === 'positional')[place];
  const isDashed = tokens.some(({ kind, index }) => kind === 'option-terminator' && index < (word?.index ?? 0));
  if (word === undefined || isDashed) return rawArgs;
  return [...rawArgs.slice(0, word.index + 1), '--', ...rawArgs.slice(word.index + 1)];
}

function optionsFrom(definitions: ArgsDef): Options {
  const flags = Object.entries(definitions).filter(([, definition]) => definition.type !== 'positional');
  return Object.fromEntries(
    flags.map(([name, definition]) => {
      const alias = 'alias' in definition && typeof definition.alias === 'string' ? { short: definition.alias } : {};
      return [name, { type: definition.type === 'boolean' ? 'boolean' : 'string', ...alias } as const];
    }),
  );
}

function parse(
  rawArgs: readonly string[],
  options: Options,
): { readonly positionals: string[]; readonly values: Record<string, unknown> } {
  try {
    return parseArgs({ args: [...rawArgs], options, allowPositionals: true, strict: true });
  } catch (error) {
    // The first sentence of Node's message explains the error; the rest is advice for programmers.
    const text = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${text.split('. ')[0] ?? text}.`.replace(/\.\.$/, '.'));
  }
}
