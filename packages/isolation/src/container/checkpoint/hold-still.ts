import { readlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import { listPids } from '../../cgroup/tree.ts';
import { endHostTools, toolsOf } from '../../host/host-tool.ts';
import { cgroupOf } from '../../host/names.ts';
import type { Host } from '../host.ts';

/** CRIU only detaches from each thread, and waits for nothing. */
const releaseTimeoutMs = 30_000;
/** The process is gone, or is a zombie. */
const gone = new Set(['ENOENT', 'ESRCH', 'EACCES']);

/**
 * Freezes restored programs that CRIU still holds. CRIU lets them go one after the other. If the first ones ran at once
 * and killed one that CRIU still holds, the restore would fail, and CRIU would wait for ever for the rest. Disposed
 * after CRIU's end: the programs run. If CRIU needs longer than 30 s, it is ended.
 */
export async function holdStill(host: Host, sandboxId: string): Promise<AsyncDisposable> {
  const group = cgroupOf(host.instance, sandboxId);
  const tools = toolsOf(host, sandboxId);
  await moveHostTools(host.cgroups.freezerOf(group), tools.folder);
  await host.cgroups.beginFreeze(group);
  const end = async (): Promise<void> => {
    await endHostTools(tools);
    await host.cgroups.thaw(group);
  };
  const timer = setTimeout(() => {
    end().catch((err: unknown) => {
      host.logger.error({ sandboxId, err }, 'CRIU does not end, and could not be ended');
    });
  }, releaseTimeoutMs);
  return {
    [Symbol.asyncDispose]: async () => {
      clearTimeout(timer);
      await host.cgroups.thaw(group);
    },
  };
}

/** CRIU was started in the sandbox's groups, so that all that it restores is in them. It must not freeze itself. */
async function moveHostTools(from: string, to: string): Promise<void> {
  const own = await readlink('/proc/self/ns/pid');
  for (const pid of await listPids(from)) {
    try {
      if ((await readlink(`/proc/${pid}/ns/pid`)) === own) await writeFile(join(to, 'cgroup.procs'), String(pid));
    } catch (error) {
      if (!isNodeError(error) || !gone.has(error.code ?? '')) throw error;
    }
  }
}
