import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { findProcess, isNodeError, isRunning, SoulBoxError, writeFileAtomic } from '@soulbox/base';

const serverSchema = z.object({
  pid: z.number().int().positive(),
  /** Together with the pid it identifies one process uniquely. */
  startTicks: z.number(),
  instance: z.number().int(),
  host: z.string(),
  port: z.number().int(),
  tlsPort: z.number().int(),
  /** `starting` until every port is open. */
  state: z.enum(['starting', 'ready']),
  /** Processes of the server that the process `pid` has started. */
  children: z.array(z.object({ pid: z.number().int().positive(), startTicks: z.number() })).default([]),
  /** Parts that ended so often that they stay off until the server restarts. The server runs without them. */
  givenUp: z.array(z.string()).default([]),
  /** The environment variables that a client needs, without the API key. */
  client: z.record(z.string(), z.string()),
});

/** DATA/run/server.json: describes the server of this data folder. */
export type ServerFile = z.infer<typeof serverSchema>;

const fileIn = (dataDirectory: string): string => join(dataDirectory, 'run', 'server.json');

/**
 * The server of a data folder, if its process is alive. Undefined when there is none, or only the file of a dead one.
 * Throws `forbidden` when this user may not read the file, which does not mean that there is no server.
 */
export async function findServer(dataDirectory: string): Promise<ServerFile | undefined> {
  const text = await readServerFile(fileIn(dataDirectory));
  if (text === undefined) return undefined;
  const server = serverSchema.safeParse(parseJson(text)).data;
  return server !== undefined && isRunning(server) ? server : undefined;
}

/** Makes this process the server of the data folder. Throws `illegal_transition` when there is another one. */
export async function claimDataDirectory(
  dataDirectory: string,
  facts: Omit<ServerFile, 'pid' | 'startTicks' | 'state' | 'client' | 'children' | 'givenUp'>,
): Promise<void> {
  const other = await findServer(dataDirectory);
  if (other !== undefined && other.pid !== process.pid) {
    throw new SoulBoxError(
      'illegal_transition',
      `A server (pid ${other.pid}) already uses ${dataDirectory}. Stop it with "soulbox down", or choose another --data-dir.`,
    );
  }
  await waitForChildren(dataDirectory);
  await writeServerFile(dataDirectory, { ...facts, state: 'starting', client: {}, children: [], givenUp: [] });
}

/** A process that still runs then hangs: it has not noticed that its supervisor is gone, and is killed. */
const childrenPatienceMs = 5000;
/** More than the time the kernel needs to end a process that waits for a disk. */
const childrenEndMs = 15_000;

/**
 * The processes of a killed server end with it. Each may need a moment, and until then it still owns the files that it
 * writes.
 */
async function waitForChildren(dataDirectory: string): Promise<void> {
  const text = await readServerFile(fileIn(dataDirectory));
  const children = serverSchema.safeParse(text === undefined ? undefined : parseJson(text)).data?.children ?? [];
  const giveUpAt = Date.now() + childrenEndMs;
  const killAt = Date.now() + childrenPatienceMs;
  for (const child of children) {
    while (isRunning(child)) {
      if (Date.now() > killAt) killNow(child.pid);
      if (Date.now() > giveUpAt) {
        throw new SoulBoxError(
          'illegal_transition',
          `The previous server of ${dataDirectory} has stopped, but its process (pid ${child.pid}) is still running. Retry when it has exited.`,
        );
      }
      await sleep(10);
    }
  }
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended in this moment.
  }
}

export async function writeServerFile(
  dataDirectory: string,
  facts: Omit<ServerFile, 'pid' | 'startTicks'>,
): Promise<void> {
  const self = findProcess(process.pid);
  if (self === undefined) throw new Error('/proc is not mounted');
  await writeFileAtomic(fileIn(dataDirectory), `${JSON.stringify({ ...self, ...facts })}\n`);
}

export async function removeServerFile(dataDirectory: string): Promise<void> {
  await rm(fileIn(dataDirectory), { force: true });
}

async function readServerFile(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (isNodeError(cause) && (cause.code === 'EACCES' || cause.code === 'EPERM'))
      throw new SoulBoxError('forbidden', `This user cannot read ${file}; use sudo.`, { cause });
    if (isNodeError(cause) && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR')) return undefined;
    throw cause;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
