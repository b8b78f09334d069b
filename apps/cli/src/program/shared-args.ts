import { UsageError } from './usage-error.ts';

/** Arguments that mean the same in every command. */
export const dataDirArg = {
  type: 'string',
  description: 'Folder of the server (default /var/lib/soulbox)',
  valueHint: 'DIR',
} as const;

export const jsonArg = { type: 'boolean', description: 'Print JSON' } as const;

/** A whole number from a flag; undefined when the flag was not given. Throws UsageError. */
export function parseNumberFlag(name: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new UsageError(`--${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}.`);
}
