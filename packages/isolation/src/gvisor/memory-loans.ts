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
 * Longer than a save is encrypted and written. What a sandbox still has after that is used by its programs, and it is ended,
 * as one that is out of memory. Milliseconds.
 */
const loanMaxMs = 900_000;

/**
 * gVisor's kernel writes the saved memory itself, into files in the memory of the host, and the host counts them as memory
 * of the sandbox. So a sandbox that uses more than half of its limit would exceed it and be ended. The server has reserved
 * memory of the host for these files.
 */
export interface MemoryLoans {
  /**
   * Raises the limit of a sandbox during a save. It has its limit again when the files are gone. Until then, a
   * sandbox that runs on may use as much more; one that does so for 15 minutes is ended.
   */
  during<T>(instance: SandboxInstance, save: () => Promise<T>): Promise<T>;
  /** Ends a loan that an earlier server has left. */
  recall(instance: SandboxInstance): void;
}

interface Recall {
  readonly timer: NodeJS.Timeout;
  /** Since when the sandbox has had more than its limit. */
  readonly sinceMs: number;
}

export function createMemoryLoans(
  host: Pick<Host, 'cgroups' | 'instance' | 'logger'>,
  mostMs = loanMaxMs,
): MemoryLoans {
  /** By sandbox. */
  const recalls = new Map<string, Recall>();
  const forget = (sandboxId: string): void => {
    clearInterval(recalls.get(sandboxId)?.timer);
    recalls.delete(sandboxId);
  };
  /** False while more is in use. A group that is gone has returned everything. */
  const lower = (group: string, limitBytes: number): boolean => {
    try {
      return host.cgroups.setMemoryLimit(group, limitBytes);
    } catch (error) {
      if (isNodeError(error) && error.code === 'ENOENT') return true;
      throw error;
    }
  };
  const end = async (sandboxId: string, group: string): Promise<void> => {
    host.logger.warn({ sandboxId }, 'a sandbox that used more than its memory limit long after a save was ended');
    await host.cgroups.kill(group);
  };
  const recallWhenFree = (sandboxId: string, limitBytes: number, sinceMs: number): void => {
    const group = cgroupOf(host.instance, sandboxId);
    forget(sandboxId);
    const fail = (err: unknown): void =>
      host.logger.warn({ sandboxId, err }, 'the memory limit of a sandbox could not be lowered after a save');
    const attempt = (): void => {
      try {
        if (lower(group, limitBytes)) forget(sandboxId);
        else if (performance.now() - sinceMs > mostMs) {
          forget(sandboxId);
          end(sandboxId, group).catch(fail);
        }
      } catch (err) {
        forget(sandboxId);
        fail(err);
      }
    };
    const timer = setInterval(attempt, tryEveryMs);
    timer.unref();
    recalls.set(sandboxId, { timer, sinceMs });
    attempt();
  };
  return {
    async during(instance, save) {
      const { sandboxId } = instance;
      const group = cgroupOf(host.instance, sandboxId);
      const limitBytes = await limitOf(host, instance);
      const sinceMs = recalls.get(sandboxId)?.sinceMs ?? performance.now();
      forget(sandboxId);
      // Never more than twice the limit: otherwise one save after the other would lend more and more.
      const lentBytes = Math.min(limitBytes, host.cgroups.readUsage(group).memoryWorkingSetBytes) + slackBytes;
      host.cgroups.setMemoryLimit(group, limitBytes + lentBytes);
      try {
        return await save();
      } finally {
        recallWhenFree(sandboxId, limitBytes, sinceMs);
      }
    },
    recall(instance) {
      limitOf(host, instance).then(
        (limitBytes) => recallWhenFree(instance.sandboxId, limitBytes, performance.now()),
        (err: unknown) =>
          host.logger.warn({ sandboxId: instance.sandboxId, err }, 'the memory limit of a sandbox is not known'),
      );
    },
  };
}

/** The limit with which it was started. */
async function limitOf(
  { instance }: Pick<Host, 'instance'>,
  { sandboxId, directory }: SandboxInstance,
): Promise<number> {
  const { config } = layoutOf(instance, sandboxId, directory);
  const parsed = JSON.parse(await readFile(config, 'utf8')) as {
    readonly linux: { readonly resources: { readonly memory: { readonly limit: number } } };
  };
  return parsed.linux.resources.memory.limit;
}
