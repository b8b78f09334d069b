import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';
import { isIsolation, isolations } from '@soulbox/contract';
import type { Isolation } from '@soulbox/contract';

/** Options of a run with random cases, for `parseArgs`. */
export const seedOption = {
  seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
} as const;

/** Options of every long run. */
export const placeOptions = {
  instance: { type: 'string', default: '4' },
  isolation: { type: 'string', default: 'container' },
} as const;

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * The options that a run was started with. With `--help`, it prints those that there are, with their defaults, and ends
 * the process; so it does with 2 after one that it does not know.
 */
export function readOptions<const T extends Options>(
  options: T,
): ReturnType<typeof parseArgs<{ options: T }>>['values'] {
  const usage = Object.entries(options).map(([name, { type, default: value }]) =>
    type === 'boolean' ? `  --${name}` : `  --${name} ${String(value ?? 'VALUE')}`,
  );
  if (process.argv.includes('--help')) {
    console.log(`Options, with their defaults:\n${usage.join('\n')}`);
    process.exit(0);
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    console.error(
      `${error instanceof Error ? error.message : String(error)}\nOptions, with their defaults:\n${usage.join('\n')}`,
    );
    process.exit(2);
  }
}

export function getIsolation(name: string): Isolation {
  if (isIsolation(name)) return name;
  throw new Error(`--isolation is one of ${isolations.join(', ')}`);
}

/** Aborts when the process gets a signal to end, so that it can first end what it started. */
export function untilToldToEnd(): AbortSignal {
  const told = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.once(name, () => told.abort(new Error(`ended by ${name}`)));
  return told.signal;
}

/** Progress goes to standard error, the report to standard output. */
export function progressOf(run: string): (text: string) => void {
  return (text) => {
    console.error(`${run}: ${text}`);
  };
}
