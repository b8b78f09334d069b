import { readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isNodeError, SoulBoxError } from '@soulbox/base';

const gone = new Set(['ENOENT', 'ENODEV']);
const killTimeoutMs = 10_000;
/** Most processes end within milliseconds, and the caller waits for that. */
const endPollMs = 2;
const firstStrikeMs = 16;
const laterStrikeMs = 50;

/** Runs `read`; returns `otherwise` if the file or group does not exist. */
async function unlessGone<T>(read: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (isNodeError(error) && gone.has(error.code ?? '')) return otherwise;
    throw error;
  }
}

/** Names of the groups directly below a group's folder. */
export async function listGroups(directory: string): Promise<string[]> {
  const entries = await unlessGone(() => readdir(directory, { withFileTypes: true }), []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

/**
 * Pids in a group's folder and all folders below. Pid 0 stands for a process of another pid namespace and is left out.
 */
export async function listPids(directory: string): Promise<number[]> {
  const own = await unlessGone(() => readFile(join(directory, 'cgroup.procs'), 'latin1'), '');
  const below = await Promise.all((await listGroups(directory)).map((name) => listPids(join(directory, name))));
  return [...own.split('\n').map(Number), ...below.flat()].filter((pid) => pid > 0);
}

/**
 * Removes a group's folder and those below it, deepest first. A group may become empty only shortly after its last
 * process died.
 */
export async function removeGroup(directory: string): Promise<void> {
  for (const name of await listGroups(directory)) await removeGroup(join(directory, name));
  for (let waitMs = 1; ; waitMs *= 2) {
    try {
      await unlessGone(() => rmdir(directory), undefined);
      return;
    } catch (error) {
      if (!isNodeError(error) || error.code !== 'EBUSY' || waitMs > 1_000) throw error;
      await sleep(waitMs);
    }
  }
}

/**
 * Calls `strike` until `list` returns no pid. Throws when processes are left after 10 s (a process stuck in the
 * kernel).
 */
export async function strikeUntilEmpty(
  list: () => Promise<readonly number[]>,
  strike: (pids: readonly number[]) => Promise<void>,
): Promise<void> {
  const deadline = Date.now() + killTimeoutMs;
  for (let waitMs = firstStrikeMs; ; waitMs = laterStrikeMs) {
    const pids = await list();
    if (pids.length === 0) return;
    if (Date.now() > deadline)
      throw new SoulBoxError('internal', `${pids.length} processes of a sandbox did not end within 10 s.`);
    await strike(pids);
    for (let waited = 0; waited < waitMs && (await list()).length > 0; waited += endPollMs) await sleep(endPollMs);
  }
}

export function killPids(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (!isNodeError(error) || error.code !== 'ESRCH') throw error;
    }
  }
}
