import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { UsageError } from '../../command-line/usage-error.ts';

/** The value is never an argument, which other users of the host could see. */
export const valueFileArg = {
  type: 'string',
  description: 'File with the value, without its last line break (default: standard input)',
  valueHint: 'FILE',
} as const;

export const secretArg = { type: 'positional', required: true, description: 'Id or name of the secret' } as const;

export const hostArg = {
  type: 'string',
  description: 'Hosts to which rules may send it, separated by commas: names, or *.domain',
  valueHint: 'HOSTS',
} as const;

export function hostsOf(text: string): string[] {
  const hosts = text.split(',').map((host) => host.trim());
  if (hosts.includes('')) throw new UsageError('--host contains an empty name.');
  return hosts;
}

export const pathOf = (secret: string): string => `/secrets/${encodeURIComponent(secret)}`;

export async function readValue(file: string | undefined): Promise<string> {
  if (file === undefined && process.stdin.isTTY)
    throw new UsageError('Give the value on standard input, or with --value-file FILE.');
  const content = file === undefined ? await text(process.stdin) : await readFile(file, 'utf8');
  return content.replace(/\r?\n$/, '');
}
