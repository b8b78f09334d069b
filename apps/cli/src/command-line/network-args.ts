import { readFile } from 'node:fs/promises';
import { UsageError } from './usage-error.ts';

/** Flags that together are a network policy. */
export const networkArgs = {
  allow: {
    type: 'string',
    description: 'Targets that may be reached: addresses, CIDR blocks, host names, each with :PORT if needed',
    valueHint: 'TARGET,...',
  },
  deny: { type: 'string', description: 'Addresses and CIDR blocks that may not be reached', valueHint: 'TARGET,...' },
  closed: { type: 'boolean', description: 'Refuse everything that --allow does not name' },
  learn: { type: 'boolean', description: 'Refuse nothing, and record everything' },
  policy: {
    type: 'string',
    description: 'The whole policy as JSON, in the form of the API; "-" for standard input',
    valueHint: 'FILE',
  },
} as const;

interface NetworkFlags {
  readonly allow?: string | undefined;
  readonly deny?: string | undefined;
  readonly closed?: boolean | undefined;
  readonly learn?: boolean | undefined;
  readonly policy?: string | undefined;
}

/** The body of an update of the policy. Undefined if no flag was given. Throws UsageError. */
export async function readNetworkFlags(flags: NetworkFlags): Promise<Record<string, unknown> | undefined> {
  const { allow, deny, closed, learn, policy } = flags;
  const isAny = allow !== undefined || deny !== undefined || closed === true || learn === true;
  if (policy !== undefined) {
    if (isAny) throw new UsageError('--policy is the whole policy. Leave out the other flags of the network.');
    return await readPolicy(policy);
  }
  if (!isAny) return undefined;
  const denyOut = [...listOf(deny), ...(closed === true ? ['0.0.0.0/0'] : [])];
  return { allowOut: listOf(allow), denyOut, ...(learn === true ? { learn } : {}) };
}

async function readPolicy(file: string): Promise<Record<string, unknown>> {
  const text = await readFile(file === '-' ? '/dev/stdin' : file, 'utf8').catch((error: unknown) => {
    throw new UsageError(`--policy ${file} cannot be read: ${error instanceof Error ? error.message : ''}`);
  });
  try {
    const policy: unknown = JSON.parse(text);
    if (typeof policy === 'object' && policy !== null && !Array.isArray(policy)) return { ...policy };
  } catch {
    // The message below says what is expected.
  }
  throw new UsageError(`--policy ${file} is not a JSON object.`);
}

function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
