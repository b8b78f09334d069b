import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { findProcess } from '@soulbox/base';
import { findServer } from './server-file.ts';

const recordSchema = z.object({ sandboxId: z.string(), tenant: z.unknown().optional() });

/** A sandbox whose processes run although no server serves its data folder. */
export interface UnmanagedSandbox {
  readonly sandboxId: string;
  /** Instance number of the server that left it. */
  readonly instance: number;
  /** True for a warm sandbox that no tenant has claimed. */
  readonly isSpare: boolean;
}

/**
 * Sandboxes that a dead server left running: no server ends them at their deadlines. Reads only files and /proc, so it
 * also works with a full disk. Empty when there is a server.
 */
export async function findUnmanaged(dataDirectory: string): Promise<UnmanagedSandbox[]> {
  if ((await findServer(dataDirectory)) !== undefined) return [];
  const directory = join(dataDirectory, 'sandboxes');
  const names = await readdir(directory).catch(() => []);
  const ids = names.filter((name) => name.endsWith('.json')).map((name) => name.slice(0, -'.json'.length));
  if (ids.length === 0) return [];
  const running = await findRunning();
  const found: UnmanagedSandbox[] = [];
  for (const sandboxId of ids) {
    const instance = running.get(sandboxId);
    if (instance === undefined) continue;
    found.push({ sandboxId, instance, isSpare: await isSpare(join(directory, `${sandboxId}.json`)) });
  }
  return found;
}

/**
 * The instance of each sandbox on this host that has a process which runs, by sandbox id. The path of its control group contains
 * both names.
 */
async function findRunning(): Promise<Map<string, number>> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const running = new Map<string, number>();
  for (const pid of pids) {
    // A zombie has ended. It stays, also in its group, until the init of the host collects it.
    if (findProcess(Number(pid)) === undefined) continue;
    const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
    const [, instance, sandboxId] = /\/soulbox-(\d+)\/([a-z0-9]+)/.exec(groups) ?? [];
    if (sandboxId !== undefined) running.set(sandboxId, Number(instance));
  }
  return running;
}

async function isSpare(path: string): Promise<boolean> {
  try {
    const record = recordSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
    return record !== undefined && record.tenant === undefined;
  } catch {
    return false;
  }
}
