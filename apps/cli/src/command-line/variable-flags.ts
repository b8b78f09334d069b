import { readFile, stat } from 'node:fs/promises';
import { parseEnv } from 'node:util';
import { environment } from '../config.ts';
import { repeatedFlag } from './repeated-flags.ts';
import { UsageError } from './usage-error.ts';

/** The API accepts no larger body. */
const fileBytesMax = 1024 * 1024;

/** Flags that together are the variables of a sandbox. */
export const variableArgs = {
  env: {
    type: 'string',
    description:
      'A variable of all commands in it; repeatable. NAME alone takes the value of this shell, which process lists do not show',
    valueHint: 'NAME[=VALUE]',
  },
  'env-file': {
    type: 'string',
    description: 'Variables from a file with lines NAME=VALUE (.env); repeatable. --env takes precedence',
    valueHint: 'FILE',
  },
} as const;

/** The variables of those flags; undefined if there are none. Throws UsageError. */
export async function readVariableFlags(rawArgs: readonly string[]): Promise<Record<string, string> | undefined> {
  const files = await Promise.all(repeatedFlag(rawArgs, 'env-file').map(readVariables));
  const given = Object.fromEntries(repeatedFlag(rawArgs, 'env').map(parseVariable));
  const variables = Object.assign({}, ...files, given) as Record<string, string>;
  return Object.keys(variables).length === 0 ? undefined : variables;
}

function parseVariable(text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (text === '' || at === 0) throw new UsageError(`--env must be NAME=VALUE or NAME, not ${JSON.stringify(text)}.`);
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  const value = environment[text];
  if (value !== undefined) return [text, value];
  throw new UsageError(`--env ${text}: this shell does not have a variable with that name. Export it first.`);
}

async function readVariables(file: string): Promise<Record<string, string>> {
  return parseEnv(await readFlagFile('env-file', file)) as Record<string, string>;
}

/** The JSON object in the file of a flag. Throws UsageError. */
export async function readObjectFlag(
  name: string,
  file: string | undefined,
): Promise<Record<string, unknown> | undefined> {
  if (file === undefined) return undefined;
  const text = await readFlagFile(name, file);
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // The message below says what is expected.
  }
  throw new UsageError(`--${name} ${file} is not a JSON object.`);
}

async function readFlagFile(name: string, file: string): Promise<string> {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw new UsageError(`--${name} ${file} is not a file.`);
    if (found.size > fileBytesMax) throw new UsageError(`--${name} ${file} is larger than 1 MiB.`);
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`--${name} ${file} cannot be read: ${error instanceof Error ? error.message : ''}`);
  }
}
