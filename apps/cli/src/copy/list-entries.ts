import { SoulBoxError } from '@soulbox/base';
import type { ReachedSandbox } from '../api/reach-sandbox.ts';
import { runScript } from './run-script.ts';
import { listScript } from './scripts.ts';

export interface ListedEntry {
  readonly kind: 'file' | 'folder' | 'link' | 'special';
  /** The lower twelve bits. */
  readonly mode: number;
  readonly size: number;
  /** In whole seconds. */
  readonly mtime: number;
  readonly owner: string;
  readonly group: string;
  /** From the folder on, as latin1, because names are bytes. For a file: the path as it was asked for. */
  readonly path: string;
}

interface Listing {
  readonly path: string;
  readonly isDeep: boolean;
  readonly user: string | undefined;
  readonly signal: AbortSignal;
}

/** What is kept in memory. */
const maxEntries = 2_000_000;
/** A path has at most 4096 bytes. */
const maxRecordBytes = 8 * 1024;
/** Of find and stat, also if they could read all other entries. */
const entryFailedCode = 1;
const ending = '//\n';
const kinds: Readonly<Record<number, ListedEntry['kind']>> = { 0o04: 'folder', 0o10: 'file', 0o12: 'link' };

/**
 * The entries of a folder of the sandbox, or a file, in the order in which the sandbox has them. What vanishes
 * meanwhile is left out. Throws `file_not_found` if there is nothing at the path.
 */
export async function* listEntries(
  sandbox: ReachedSandbox,
  { path, isDeep, user, signal }: Listing,
): AsyncGenerator<ListedEntry> {
  const run = await runScript(sandbox, { text: listScript, args: [path, isDeep ? 'yes' : 'no'], user, signal });
  let text = '';
  let count = 0;
  for await (const bytes of run.output) {
    text += Buffer.from(bytes).toString('latin1');
    const records = text.split(ending);
    text = records.pop() ?? '';
    count += records.length;
    if (text.length > maxRecordBytes) throw invalidListing();
    if (count > maxEntries) throw new SoulBoxError('limit_exceeded', `The folder has over ${maxEntries} entries.`);
    for (const record of records) yield parseEntry(record);
  }
  try {
    run.check();
  } catch (error) {
    const isVanished = error instanceof SoulBoxError && error.reason === 'file_not_found';
    if (!isVanished || run.exitCode() !== entryFailedCode) throw error;
  }
}

export function parseEntry(record: string): ListedEntry {
  const [, mode, size, mtime, owner = '', group = '', path = ''] =
    /^([0-9a-f]{1,8}) (\d{1,16}) (-?\d{1,16}) (\S{1,64}) (\S{1,64}) (.+)$/s.exec(record) ?? [];
  if (mode === undefined) throw invalidListing();
  const bits = Number.parseInt(mode, 16);
  return {
    kind: kinds[bits >> 12] ?? 'special',
    ...{ mode: bits & 0o7777, size: Number(size), mtime: Number(mtime), owner, group },
    path: path.replace(/^\.\//, ''),
  };
}

function invalidListing(): SoulBoxError {
  return new SoulBoxError('bad_request', 'The sandbox sent an invalid list of files.');
}
