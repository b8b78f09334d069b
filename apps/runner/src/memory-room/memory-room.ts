import { SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { readHostMemory } from './read-host-memory.ts';
import type { HostMemory } from './read-host-memory.ts';

const mib = 2 ** 20;
/** The part of the host's memory that stays free: for sandboxes, which also grow meanwhile. */
const reserveMinBytes = 256 * mib;
const reserveShare = 0.05;
const defaultMaxWaitMs = 60_000;
const maxWaiting = 1000;
/** Memory also becomes free without a release here. */
const lookMs = 100;

export interface MemoryNeed {
  readonly bytes: number;
  /** Begins the message of an error. */
  readonly what: string;
  /** The reason of an error. */
  readonly reason: Reason;
  /** The sandbox whose lock is held meanwhile. Empty: none. */
  readonly sandboxId: string;
  /**
   * Counts, but neither waits nor fails. For steps for whose end another holder may wait, and for those whose failure
   * would lose the memory of a sandbox.
   */
  readonly isUrgent?: boolean;
}

/**
 * Admits copies of sandboxes' memory in the host's memory: clear parts of checkpoints that are being saved or restored.
 * Without it, many at once would make the kernel kill processes of the host.
 */
export interface MemoryRoom {
  /**
   * Reserves memory until disposed. Calls wait in order, at most 60 s. One that would be the only one may use the reserve.
   * Throws the reason of `need`, and `shutting_down`.
   */
  admit(need: MemoryNeed): Promise<Disposable>;
  /** Until disposed, calls for this sandbox fail at once, also those that wait: its end waits for nothing here. */
  refuse(sandboxId: string): Disposable;
}

export interface MemoryRoomOptions {
  readonly stopping: AbortSignal;
  /** Called each time that a call must wait: whoever holds memory only to be faster gives it back. */
  readonly makeRoom?: () => void;
  readonly readMemory?: () => HostMemory;
  readonly maxWaitMs?: number;
}

interface Waiting {
  readonly need: MemoryNeed;
  readonly deadlineMs: number;
  readonly resolve: (hold: Disposable) => void;
  readonly reject: (error: SoulBoxError) => void;
}

export function createMemoryRoom(options: MemoryRoomOptions): MemoryRoom {
  const { stopping, makeRoom, readMemory = readHostMemory, maxWaitMs = defaultMaxWaitMs } = options;
  const holds = new Set<{ readonly bytes: number }>();
  const refused = new Set<{ readonly sandboxId: string }>();
  let queue: Waiting[] = [];
  let timer: NodeJS.Timeout | undefined;

  const hold = (bytes: number): Disposable => {
    const held = { bytes };
    holds.add(held);
    return {
      [Symbol.dispose]() {
        holds.delete(held);
        look();
      },
    };
  };
  const roomBytes = (): number => {
    const { totalBytes, availableBytes } = readMemory();
    if (holds.size === 0) return availableBytes;
    const heldBytes = [...holds].reduce((sum, { bytes }) => sum + bytes, 0);
    return availableBytes - Math.max(reserveMinBytes, totalBytes * reserveShare) - heldBytes;
  };
  const isRefused = ({ sandboxId }: MemoryNeed): boolean =>
    [...refused].some((refusal) => refusal.sandboxId === sandboxId);

  /** Why a call cannot wait any longer. */
  const endOf = ({ need, deadlineMs }: Waiting): SoulBoxError | undefined => {
    if (stopping.aborted) return new SoulBoxError('shutting_down', 'The server is stopping.');
    if (isRefused(need)) return new SoulBoxError(need.reason, `${need.what} was given up: the sandbox is being ended.`);
    return performance.now() < deadlineMs ? undefined : noRoom(need, roomBytes());
  };

  /** Admits the calls whose turn it is, and ends those that waited too long. */
  const look = (): void => {
    queue = queue.filter((waiting) => {
      const end = endOf(waiting);
      if (end !== undefined) waiting.reject(end);
      return end === undefined;
    });
    for (let first = queue[0]; first !== undefined && first.need.bytes <= roomBytes(); first = queue[0]) {
      queue.shift();
      first.resolve(hold(first.need.bytes));
    }
    if (queue.length === 0) {
      clearInterval(timer);
      timer = undefined;
    } else {
      makeRoom?.();
      timer ??= setInterval(look, lookMs);
    }
  };

  stopping.addEventListener('abort', look);
  return {
    async admit(need) {
      if (need.isUrgent === true || need.bytes === 0) return hold(need.bytes);
      if (queue.length >= maxWaiting || need.bytes > readMemory().totalBytes) throw noRoom(need, roomBytes());
      return await new Promise<Disposable>((resolve, reject) => {
        queue.push({ need, deadlineMs: performance.now() + maxWaitMs, resolve, reject });
        look();
      });
    },
    refuse(sandboxId) {
      const refusal = { sandboxId };
      refused.add(refusal);
      look();
      return {
        [Symbol.dispose]() {
          refused.delete(refusal);
        },
      };
    },
  };
}

function noRoom({ what, reason, bytes }: MemoryNeed, roomBytes: number): SoulBoxError {
  const [needed, left] = [bytes, Math.max(0, roomBytes)].map((count) => Math.ceil(count / mib));
  return new SoulBoxError(
    reason,
    `${what} needs ${needed} MiB of the host's memory, but only ${left} MiB are available for it. Retry later, or end sandboxes.`,
  );
}
