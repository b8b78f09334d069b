import type { BrakeContext } from './brake.ts';
import { thawWithRoom, stopForRoom } from './brake.ts';
import { writeFigures } from '../disk-budget/figures-file.ts';
import { judge } from '../disk-budget/watchdog.ts';
import type { WatchdogOrders } from '../disk-budget/watchdog.ts';

/** Interval of the check of all disks. A page cache takes some 200 MiB meanwhile. */
const inspectEveryMs = 200;
/** Time limit for writing out the cached data of one disk. A longer wait would be useless. */
const flushTimeoutMs = 30_000;
/** Interval of the figures that `soulbox doctor` reads. */
const figuresEveryMs = 5_000;
/** Failed checks are logged at most once in this time. */
const complainEveryMs = 60_000;

/** Watches the disks of all sandboxes until disposed. Their growth limits stay unchanged after that. */
export function startDiskGuard(context: BrakeContext, dataDirectory: string): AsyncDisposable {
  const { host } = context;
  const underWay = new Map<string, Promise<void>>();
  let complainedAtMs = -Infinity;

  /** Runs one task at a time for each sandbox and kind. */
  const start = (name: string, sandboxId: string, work: () => Promise<void>): void => {
    const key = `${name} ${sandboxId}`;
    if (underWay.has(key)) return;
    const done = work()
      .catch((err: unknown) => {
        host.logger.error({ sandboxId, err }, `disk budget: ${name} failed`);
      })
      .finally(() => underWay.delete(key));
    underWay.set(key, done);
  };

  const follow = ({ stop, thaw, flush }: WatchdogOrders): void => {
    for (const sandboxId of stop) start('stop', sandboxId, async () => await stopForRoom(context, sandboxId));
    for (const sandboxId of thaw) start('thaw', sandboxId, async () => await thawWithRoom(context, sandboxId));
    for (const disk of flush)
      start('flush', disk.sandboxId, async () => await disk.flush(AbortSignal.timeout(flushTimeoutMs)));
  };

  const inspect = (): void => {
    try {
      follow(judge(host.disks.inspect()));
    } catch (err) {
      if (performance.now() - complainedAtMs < complainEveryMs) return;
      complainedAtMs = performance.now();
      host.logger.error({ err }, 'disks could not be inspected');
    }
  };

  const tell = async (): Promise<void> => {
    const { instance, diskOvercommit: overcommit } = host.config;
    await writeFigures(instance, dataDirectory, { ...host.disks.figures(), overcommit });
  };

  const timer = setInterval(inspect, inspectEveryMs);
  const teller = setInterval(() => start('figures', '', tell), figuresEveryMs);
  start('figures', '', tell);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      clearInterval(teller);
      while (underWay.size > 0) await Promise.all(underWay.values());
    },
  };
}
