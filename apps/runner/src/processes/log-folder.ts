import { appendFile, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@soulbox/base';
import type { EnvdLogEntry } from '@soulbox/envd-client';
import type { RecordSeal } from '../registry/record-seal.ts';

/** `seq`: the number in envd's own log. 0 for an entry of the runner. */
export type LogLine = EnvdLogEntry;

/** A file that has grown beyond this is written anew with the entries that are still in the book. */
const rewriteBytes = 2 * 1024 * 1024;
/** No file is larger, unless somebody else wrote to it. The rest is not read. */
const readMaxBytes = 8 * 1024 * 1024;

/** The log of one sandbox on the disk. A line of the file is an encrypted batch of entries. */
export interface LogFile {
  /** The entries of an earlier life of the runner. Lines that cannot be read count as absent. Never throws. */
  load(): Promise<LogLine[]>;
  /** Adds entries after those of earlier calls. `all`: gives what the book has then. Never throws. */
  append(lines: readonly LogLine[], all: () => Promise<readonly LogLine[]>): void;
  /** Removes the file. Nothing is written to it afterwards. Never throws. */
  remove(): Promise<void>;
}

/** The folder with the logs of all sandboxes. */
export interface LogFolder {
  fileOf(sandboxId: string): LogFile;
  /** Removes the logs of all sandboxes that are not named. */
  keepOnly(sandboxIds: ReadonlySet<string>): Promise<void>;
  /** Resolves when everything is written that was appended before. */
  settle(): Promise<void>;
}

export async function openLogFolder(
  directory: string,
  seal: Pick<RecordSeal, 'textOf' | 'open'>,
  onFailure: (error: unknown) => void,
): Promise<LogFolder> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const underWay = new Set<Promise<void>>();
  return {
    fileOf: (sandboxId) => createLogFile(join(directory, sandboxId), { sandboxId, seal, onFailure, underWay }),
    async keepOnly(sandboxIds) {
      for (const name of await readdir(directory))
        if (!sandboxIds.has(name)) await rm(join(directory, name), { force: true });
    },
    async settle() {
      await Promise.all(underWay);
    },
  };
}

interface FileOptions {
  readonly sandboxId: string;
  readonly seal: Pick<RecordSeal, 'textOf' | 'open'>;
  readonly onFailure: (error: unknown) => void;
  readonly underWay: Set<Promise<void>>;
}

function createLogFile(path: string, { sandboxId, seal, onFailure, underWay }: FileOptions): LogFile {
  let writing = Promise.resolve();
  let sizeBytes: number | undefined;
  /** What the last rewrite left. Control characters make a text of the largest size six times as long. */
  let leastBytes = 0;
  let isRemoved = false;

  const write = async (lines: readonly LogLine[], all: () => Promise<readonly LogLine[]>): Promise<void> => {
    if (isRemoved) return;
    sizeBytes ??= await stat(path).then(
      ({ size }) => size,
      () => 0,
    );
    const isFull = sizeBytes > Math.max(rewriteBytes, 2 * leastBytes);
    const text = await seal.textOf('log', sandboxId, { entries: isFull ? await all() : lines });
    if (isFull) await writeFileAtomic(path, text, { mode: 0o600 });
    // A server that was killed may have left half a line.
    else await appendFile(path, `\n${text}`, { mode: 0o600 });
    sizeBytes = isFull ? text.length : sizeBytes + text.length;
    if (isFull) leastBytes = sizeBytes;
  };

  const entriesOf = async (line: string): Promise<LogLine[]> => {
    try {
      const content = (await seal.open('log', sandboxId, JSON.parse(line))) as { entries: LogLine[] };
      return content.entries;
    } catch {
      return [];
    }
  };

  return {
    async load() {
      const text = await readUpTo(path, readMaxBytes).catch(() => '');
      const entries: LogLine[] = [];
      for (const line of text.split('\n')) if (line !== '') entries.push(...(await entriesOf(line)));
      return entries;
    },
    append(lines, all) {
      // A full disk costs the history of the log, never an operation.
      const done = writing.then(async () => await write(lines, all)).catch(onFailure);
      writing = done;
      underWay.add(done);
      void done.finally(() => underWay.delete(done));
    },
    async remove() {
      isRemoved = true;
      await writing;
      // The sandbox has ended, whatever the disk says. The next start removes the file.
      await rm(path, { force: true }).catch(onFailure);
    },
  };
}

async function readUpTo(path: string, maxBytes: number): Promise<string> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  const buffer = Buffer.alloc(Math.min(size, maxBytes));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
  return buffer.toString('utf8', 0, bytesRead);
}
