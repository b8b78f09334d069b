import { readFile } from 'node:fs/promises';
import { isNodeError } from '@soulbox/base';
import type { SandboxInstance } from '../driver.ts';
import { cgroupOf } from '../host/names.ts';
import type { Host } from './host.ts';
import { layoutOf } from './layout.ts';

/** What gVisor's kernel itself needs during a save. */
const slackBytes = 64 * 2 ** 20;
/** How often it is tried to end a loan. Milliseconds. */
const tryEveryMs = 200;

/**
 * gVisor's kernel writes the saved memory itself, into files in the memory of the host, and the host counts them as memory
 * of the sandbox. So a sandbox that uses more than half of its limit would exceed it and be ended. The server has reserved
 * memory of the host for these files.
 */
export interface MemoryLoans {
  /**
   * Raises the limit of a sandbox during a save. It has its limit again when the files are gone: until then, and only
   * until then, a sandbox that runs on may use as much more.
   */
  during<T>(instance: SandboxInstance, save: () => Promise<T>): Promise<T>;
  /** Ends a loan that an earlier server has left. */
  recall(instance: SandboxInstance): void;
}

export function createMemoryLoans(host: Host): MemoryLoans {
  /** By sandbox. */
  const recalls = new Map<string, NodeJS.Timeout>();
  const stop = (sandboxId: string): void => {
    clearInterval(recalls.get(sandboxId));
    recalls.delete(sandboxId);
  };
  const isOver = (group: string, limitBytes: number): boolean => {
    try {
      return host.cgroups.setMemoryLimit(group, limitBytes);
    } catch (error) {
      if (isNodeError(error) && error.code === 'ENOENT') return true;
      throw error;
    }
  };
  const recallWhenFree = (sandboxId: string, limitBytes: number): void => {
    const group = cgroupOf(host.instance, sandboxId);
    stop(sandboxId);
    const attempt = (): void => {
      try {
        if (isOver(group, limitBytes)) stop(sandboxId);
      } catch (err) {
        stop(sandboxId);
        host.logger.warn({ sandboxId, err }, 'the memory limit of a sandbox could not be lowered after a save');
      }
    };
    const timer = setInterval(attempt, tryEveryMs);
    timer.unref();
    recalls.set(sandboxId, timer);
    attempt();
  };
  return {
    async during(instance, save) {
      const { sandboxId } = instance;
      const group = cgroupOf(host.instance, sandboxId);
      const limitBytes = await limitOf(host, instance);
      stop(sandboxId);
      const { memoryWorkingSetBytes } = host.cgroups.readUsage(group);
      host.cgroups.setMemoryLimit(group, limitBytes + memoryWorkingSetBytes + slackBytes);
      try {
        return await save();
      } finally {
        recallWhenFree(sandboxId, limitBytes);
      }
    },
    recall(instance) {
      limitOf(host, instance).then(
        (limitBytes) => recallWhenFree(instance.sandboxId, limitBytes),
        (err: unknown) =>
          host.logger.warn({ sandboxId: instance.sandboxId, err }, 'the memory limit of a sandbox is not known'),
      );
    },
  };
}

/** The limit with which it was started. */
async function limitOf(host: Host, { sandboxId, directory }: SandboxInstance): Promise<number> {
  const { config } = layoutOf(host.instance, sandboxId, directory);
  const parsed = JSON.parse(await readFile(config, 'utf8')) as {
    readonly linux: { readonly resources: { readonly memory: { readonly limit: number } } };
  };
  return parsed.linux.resources.memory.limit;
}
