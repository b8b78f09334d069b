import { mkdir, open, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { hashBytes } from './tree.ts';
import { tilePath, tileWidth } from './tiles.ts';
import type { TileName } from './tiles.ts';

/** Files of a log in a folder, in the layout of C2SP's tlog-tiles. */
export interface LogFiles {
  /** Undefined if the log has no checkpoint. */
  readCheckpoint(): Promise<string | undefined>;
  writeCheckpoint(note: string): Promise<void>;
  /** The newest checkpoint that witnesses have signed. Undefined if there is none. */
  readWitnessed(): Promise<string | undefined>;
  writeWitnessed(note: string): Promise<void>;
  /** Throws `state_damaged` if it does not exist. */
  readTile(name: TileName): Promise<Buffer>;
  /** On the disk when it returns, but its name only after `flush`. */
  writeTile(name: TileName, bytes: Uint8Array): Promise<void>;
  /** Makes the names of all written tiles durable. */
  flush(): Promise<void>;
  /** Removes the partial tiles that a full one replaces. */
  removePartials(name: TileName): Promise<void>;
  remove(name: TileName): Promise<void>;
  /** Entries below this index were pruned. */
  readMinimum(): Promise<number>;
  writeMinimum(index: number): Promise<void>;
}

const checkpointName = 'checkpoint';
const witnessedName = 'witnessed-checkpoint';
const minimumName = 'minimum-index';

export function openLogFiles(directory: string): LogFiles {
  const unflushed = new Set<string>();
  const writeDurable = async (name: string, content: string | Uint8Array): Promise<void> => {
    const path = join(directory, name);
    const folder = dirname(path);
    const made = await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFileAtomic(path, content, { durable: true });
    unflushed.add(folder);
    // A new folder also needs its own name, and so do the folders above it.
    for (let above = folder; made !== undefined && above.length >= made.length; above = dirname(above))
      unflushed.add(dirname(above));
  };
  const flush = async (): Promise<void> => {
    for (const folder of unflushed) await syncFolder(folder);
    unflushed.clear();
  };
  return {
    readCheckpoint: async () => await readText(join(directory, checkpointName)),
    async writeCheckpoint(note) {
      await writeDurable(checkpointName, note);
      await flush();
    },
    readWitnessed: async () => await readText(join(directory, witnessedName)),
    async writeWitnessed(note) {
      await writeDurable(witnessedName, note);
      await flush();
    },
    async readTile(name) {
      const bytes = await readTileFile(directory, name);
      if (bytes === undefined) throw new SoulBoxError('state_damaged', `The log has no file ${tilePath(name)}.`);
      return bytes;
    },
    writeTile: async (name, bytes) => await writeDurable(tilePath(name), bytes),
    flush,
    async removePartials(name) {
      await rm(join(directory, `${tilePath({ ...name, width: tileWidth })}.p`), { recursive: true, force: true });
    },
    remove: async (name) => await rm(join(directory, tilePath(name)), { force: true }),
    readMinimum: async () => Number((await readText(join(directory, minimumName))) ?? 0),
    async writeMinimum(index) {
      await writeDurable(minimumName, `${index}\n`);
      await flush();
    },
  };
}

/** Undefined if neither the file nor the full one exists. A full one may already have replaced a partial one. */
async function readTileFile(directory: string, name: TileName): Promise<Buffer | undefined> {
  const bytes = await readBytes(join(directory, tilePath(name)));
  if (bytes !== undefined || name.width === tileWidth) return bytes;
  const full = await readBytes(join(directory, tilePath({ ...name, width: tileWidth })));
  return full === undefined ? undefined : cutTile(full, name);
}

/** The start of a full tile or bundle. */
function cutTile(full: Buffer, { level, width }: TileName): Buffer {
  if (level !== 'entries') return full.subarray(0, width * hashBytes);
  let end = 0;
  for (let entry = 0; entry < width && end + 2 <= full.length; entry += 1) end += 2 + full.readUInt16BE(end);
  return full.subarray(0, end);
}

async function readBytes(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

async function readText(path: string): Promise<string | undefined> {
  return (await readBytes(path))?.toString('utf8');
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
