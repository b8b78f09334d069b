import { once } from 'node:events';
import { availableParallelism, loadavg } from 'node:os';
import type { ServiceImpl } from '@connectrpc/connect';
import { phaseBoundsSeconds, readCacheFigures, readPhaseFigures, sleepUnlessAborted } from '@soulbox/base';
import { recordToWire } from '@soulbox/contract/egress-record-service';
import type { RunnerService } from '@soulbox/contract/runner';
import type { ConnectionBatch, ConnectionQueue } from '../connections/connection-queue.ts';
import { readHostMemory } from '../memory-room/read-host-memory.ts';
import type { Answers } from './answer.ts';
import type { ServeContext } from './serve-context.ts';
import { streamStaging } from './stage-backup.ts';

/**
 * How long a caller waits at most for connections if there are none, and half of its own deadline: the answer must come
 * before that. Each question costs both processes a millisecond.
 */
const connectionsWaitMs = 10_000;
/** Connections often come in groups. */
const gatherMs = 250;

/** Serves the figures of the host, room on its disk, and its backup. */
export function createHostRoutes(
  context: ServeContext,
  { answer, stream }: Answers,
): Partial<ServiceImpl<typeof RunnerService>> {
  return {
    getTeamUsage: answer(async ({ teamId }) => {
      const { diskBytes, pausedMemoryBytes } = context.usageOf(teamId);
      return await Promise.resolve({ diskBytes: BigInt(diskBytes), pausedMemoryBytes: BigInt(pausedMemoryBytes) });
    }),

    settleUsage: answer(async ({ recorded, holds }) => {
      context.consumption.forget(recorded);
      context.holds.set(holds);
      const counters = context.consumption
        .list()
        .map(({ networkSentBytes, ...rest }) => ({ ...rest, networkSentBytes: BigInt(networkSentBytes) }));
      return await Promise.resolve({ epoch: context.consumption.epoch, counters });
    }),

    takeConnections: answer(async ({ recorded, refused }, { signal, timeoutMs }) => {
      const order = { recorded: Number(recorded), refused: Number(refused) };
      const gone = AbortSignal.any([signal, context.stopping]);
      const { number, records, dropped } = await takeSoon(context.connections, order, {
        ...{ gone, waitMs: Math.min(connectionsWaitMs, Math.floor((timeoutMs() ?? Infinity) / 2)) },
      });
      return { batch: BigInt(number), connections: records.map(recordToWire), dropped: BigInt(dropped) };
    }),

    getPool: answer(async () => {
      const { failedBoots, served, waited, ...figures } = context.pool.figures();
      const counts = { failedBoots: BigInt(failedBoots), served: BigInt(served), waited: BigInt(waited) };
      return await Promise.resolve({ ...figures, ...counts });
    }),

    getPhases: answer(async () => {
      const series = readPhaseFigures().map(({ counts, total, ...one }) => ({
        ...one,
        counts: counts.map(BigInt),
        total: BigInt(total),
      }));
      const caches = readCacheFigures().map(({ cache, hits, misses }) => ({
        ...{ name: cache, hits: BigInt(hits), misses: BigInt(misses) },
      }));
      return await Promise.resolve({ boundsSeconds: [...phaseBoundsSeconds], series, caches });
    }),

    getHostDisk: answer(async () => {
      const { host } = context;
      const figures = host.disks.figures();
      return await Promise.resolve({
        totalBytes: BigInt(figures.totalBytes),
        freeBytes: BigInt(figures.freeBytes),
        reserveBytes: BigInt(Math.round(figures.reserveBytes)),
        committedBytes: BigInt(Math.round(figures.committedBytes)),
        toldBytes: BigInt(figures.toldBytes),
        overcommit: host.config.diskOvercommit,
        disks: figures.disks,
        stopped: figures.stopped,
      });
    }),

    getStorage: answer(async () => {
      const figures = context.uploads.current?.figures();
      if (figures === undefined) return await Promise.resolve({});
      const { state, reason, wanted, uploaded, notUploaded, ...counts } = figures;
      const numbers = Object.entries(counts).map(([name, count]) => [name, BigInt(count)] as const);
      return {
        figures: {
          ...{ state, reason, wanted, uploaded, notUploaded: [...notUploaded] },
          ...(Object.fromEntries(numbers) as Record<keyof typeof counts, bigint>),
        },
      };
    }),

    async *holdHostRoom({ bytes, what }, handler) {
      const admit = answer((size: number) => Promise.resolve(context.host.disks.admit(size, what)));
      const room = await admit(Number(bytes), handler);
      const over = AbortSignal.any([handler.signal, context.stopping]);
      // Registered before the message: when a caller reads no further, the generator stops at the yield.
      const ended = (over.aborted ? Promise.resolve() : once(over, 'abort')).then(() => {
        room[Symbol.dispose]();
      });
      yield {};
      await ended;
    },

    getProcess: answer(async () => {
      const figures = await context.measureProcess();
      const { loopLag, maxDescriptors } = figures;
      const memory = readHostMemory();
      return {
        residentMemoryBytes: BigInt(figures.residentBytes),
        heapUsedBytes: BigInt(figures.heapUsedBytes),
        startTimeSeconds: figures.startTimeSeconds,
        openDescriptors: figures.openDescriptors,
        maxDescriptors: BigInt(maxDescriptors ?? 0),
        loopLagP50Seconds: loopLag.p50,
        loopLagP99Seconds: loopLag.p99,
        loopLagMaxSeconds: loopLag.max,
        droppedLogLines: BigInt(figures.droppedLogLines),
        hostLoad1: loadavg()[0] ?? 0,
        hostCpus: availableParallelism(),
        hostMemoryAvailableBytes: BigInt(memory.availableBytes),
        hostMemoryTotalBytes: BigInt(memory.totalBytes),
      };
    }),

    stageSandboxes: stream((_request: unknown, handler) => streamStaging(context, 'sandboxes', handler.signal)),

    stageSnapshots: stream((_request: unknown, handler) => streamStaging(context, 'snapshots', handler.signal)),
  };
}

/** The next connections, as soon as there are some. Empty after a wait without any. */
async function takeSoon(
  connections: ConnectionQueue,
  order: { readonly recorded: number; readonly refused: number },
  { gone, waitMs }: { readonly gone: AbortSignal; readonly waitMs: number },
): Promise<ConnectionBatch> {
  const batch = connections.take(order);
  if (batch.records.length > 0 || batch.dropped > 0) return batch;
  await connections.untilMore(AbortSignal.any([gone, AbortSignal.timeout(waitMs)]));
  const isGone = await sleepUnlessAborted(gatherMs, gone).then(
    () => false,
    () => true,
  );
  // What is taken for a caller that has gone would only be given again.
  return isGone ? batch : connections.take({ recorded: batch.number, refused: 0 });
}
