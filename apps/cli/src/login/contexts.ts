import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError, Secret, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { userConfigFolder } from '../config.ts';

/** A server under a name of the person's choice. */
export interface Context {
  /** Without a trailing slash. */
  readonly url: string;
  /** The URL that reaches the ports of sandboxes, if it is another one. */
  readonly sandboxUrl?: string | undefined;
  readonly key: Secret;
}

export interface Contexts {
  /** The one that commands use. */
  readonly current: string | undefined;
  readonly byName: ReadonlyMap<string, Context>;
}

function fileOf(): string {
  return join(userConfigFolder(), 'contexts.json');
}

/** Throws `config_invalid` for a file that is not ours. */
export async function readContexts(): Promise<Contexts> {
  const file = fileOf();
  try {
    const contexts = parse(JSON.parse(await readFile(file, 'utf8')));
    if (contexts !== undefined) return contexts;
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return { current: undefined, byName: new Map() };
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new SoulBoxError('config_invalid', `${file} is not valid. Delete it, and create the contexts again.`);
}

/** Only the person may read the file. */
export async function writeContexts({ current, byName }: Contexts): Promise<void> {
  const file = fileOf();
  const contexts = Object.fromEntries(
    [...byName].map(([name, { url, sandboxUrl, key }]) => [name, { url, sandboxUrl, key: key.reveal() }]),
  );
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeFileAtomic(file, `${JSON.stringify({ current, contexts }, null, 2)}\n`);
}

/** Throws `config_invalid` for a name that is not known. */
export async function getContext(name: string): Promise<Context> {
  const { byName } = await readContexts();
  const found = byName.get(name);
  if (found !== undefined) return found;
  const names = byName.size === 0 ? 'There are none yet' : `There are: ${[...byName.keys()].join(', ')}`;
  throw new SoulBoxError('config_invalid', `There is no context ${JSON.stringify(name)}. ${names}.`);
}

function parse(value: unknown): Contexts | undefined {
  const { current, contexts } = (value ?? {}) as { readonly current?: unknown; readonly contexts?: unknown };
  if (current !== undefined && typeof current !== 'string') return undefined;
  if (typeof contexts !== 'object' || contexts === null) return undefined;
  const byName = new Map<string, Context>();
  for (const [name, context] of Object.entries(contexts as Record<string, unknown>)) {
    const { url, sandboxUrl, key } = (context ?? {}) as Record<string, unknown>;
    if (typeof url !== 'string' || typeof key !== 'string') return undefined;
    if (sandboxUrl !== undefined && typeof sandboxUrl !== 'string') return undefined;
    byName.set(name, { url, sandboxUrl, key: new Secret(key) });
  }
  return { current, byName };
}
