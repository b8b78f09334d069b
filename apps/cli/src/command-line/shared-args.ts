import type { ArgsDef } from 'citty';
import { UsageError } from './usage-error.ts';

/** Arguments with the same meaning in every command. */
export const dataDirArg = {
  type: 'string',
  description: 'Folder of the server (default /var/lib/soulbox)',
  valueHint: 'DIR',
} as const;

export const jsonArg = { type: 'boolean', description: 'Print JSON' } as const;

/** For commands that call the API. */
export const apiDataDirArg = {
  ...dataDirArg,
  description:
    'Use the local server of this folder (default: --context, E2B_API_URL with E2B_API_KEY, a login, or /var/lib/soulbox)',
} as const;

/** For commands that use the API of a server that is named, and the records of this host otherwise. */
export const recordsDataDirArg = {
  ...dataDirArg,
  description:
    'Use the records in this folder (default: the API of --context, of E2B_API_URL with E2B_API_KEY or of a login; otherwise the records in /var/lib/soulbox)',
} as const;

/** Of all commands with one of the last two. */
export const contextArg = {
  type: 'string',
  description: 'Use the server of this context (default: SOULBOX_CONTEXT)',
  valueHint: 'NAME',
} as const;

/** Of all commands that only read. */
export const outputArgs = {
  output: { type: 'string', description: 'Write into this file, which appears when it is complete', valueHint: 'FILE' },
  overwrite: { type: 'boolean', description: 'Replace the file of --output if it exists' },
} as const;

/** The names of commands that print what they read. */
const readingVerbs = new Set([
  ...['list', 'info', 'show', 'logs', 'metrics', 'events', 'status', 'usage', 'versions', 'learned', 'connections'],
  ...['processes', 'inspect', 'diff', 'ls', 'list-ssh', 'list-signing'],
]);

/** The arguments of a command, with those that all commands of its kind have. */
export function withSharedArgs(args: ArgsDef, verb: string): ArgsDef {
  const entries = Object.entries(args).flatMap(([name, definition]): [string, ArgsDef[string]][] => [
    [name, definition],
    ...(definition === apiDataDirArg || definition === recordsDataDirArg
      ? [['context', contextArg] satisfies [string, ArgsDef[string]]]
      : []),
  ]);
  const isReading = readingVerbs.has(verb) && args['output'] === undefined;
  return { ...Object.fromEntries(entries), ...(isReading ? outputArgs : {}) };
}

export const fileUserArg = {
  type: 'string',
  description: 'The user inside whose rights apply (default: that of the sandbox)',
  valueHint: 'NAME',
} as const;

export const quietArg = { type: 'boolean', description: 'Show no progress' } as const;

export const teamArg = {
  type: 'string',
  description: 'Id or name of the team (default: the default team)',
  valueHint: 'TEAM',
} as const;

export const sandboxArg = { type: 'positional', required: true, description: 'Id of the sandbox' } as const;

export const snapshotArg = { type: 'positional', required: true, description: 'Id or name of the snapshot' } as const;

export const builtTemplateArg = {
  type: 'positional',
  required: true,
  description: 'Id or name of the template',
} as const;

export const timeoutArg = {
  type: 'string',
  description: 'Seconds to live, from now (default 300)',
  valueHint: 'SECONDS',
} as const;

export const idempotencyKeyArg = {
  type: 'string',
  description: 'A repetition with the same key within 24 hours makes nothing new and prints the same result',
  valueHint: 'KEY',
} as const;

export const countArg = {
  type: 'string',
  description: 'Number of sandboxes, 1 to 100 (default 1)',
  valueHint: 'N',
} as const;

export const clonesArg = {
  type: 'string',
  description: 'clone: each one gets clones of the volumes, from the moment of the memory. Default: share',
  valueHint: 'HOW',
} as const;

/** Parses a whole number; undefined when the flag was not given. Throws UsageError. */
export function parseNumberFlag(name: string, text: string | undefined, min: number, max: number): number | undefined {
  return text === undefined ? undefined : parseNumber(`--${name}`, text, min, max);
}

/** Parses a whole number. Throws UsageError, which begins with `what`. */
export function parseNumber(what: string, text: string, min: number, max: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`${what} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}.`);
}

/** Parses one of a few words; undefined when the flag was not given. Throws UsageError. */
export function parseChoiceFlag<T extends string>(
  name: string,
  text: string | undefined,
  choices: readonly T[],
): T | undefined {
  if (text === undefined) return undefined;
  const choice = choices.find((candidate) => candidate === text);
  if (choice !== undefined) return choice;
  throw new UsageError(`--${name} must be ${choices.join(' or ')}, not ${JSON.stringify(text)}.`);
}
