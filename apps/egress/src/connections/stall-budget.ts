/** Bytes that wait for peers that do not read: together, and for one sandbox. */
const totalMax = 256 * 2 ** 20;
const ownerMax = 64 * 2 ** 20;
/** Bytes that one direction of a connection may have waiting, while there is plenty of room, and otherwise. */
const shareMax = { plenty: 2 ** 20, scarce: 64 * 2 ** 10 } as const;
/** The room is plenty while less than this part of a limit is used. */
const plentyPart = 0.25;

/** The bytes of one direction of a connection that wait for its peer. */
export interface Stall {
  /** Bytes from which reading pauses. */
  shareBytes(): number;
  isPlenty(): boolean;
  set(bytes: number): void;
}

/** Bounds the memory for peers that never read. Beyond it, the connection that has waited longest is reset. */
export interface StallBudget {
  open(owner: string, reset: () => void): Stall;
}

interface Waiting {
  readonly owner: string;
  readonly reset: () => void;
  bytes: number;
}

export function createStallBudget(limits = { totalMax, ownerMax }): StallBudget {
  let total = 0;
  /** By the time at which they began to wait. */
  const waiting = new Set<Waiting>();
  const owners = new Map<string, number>();
  const isOver = (owner: string): boolean => total > limits.totalMax || (owners.get(owner) ?? 0) > limits.ownerMax;
  const add = (owner: string, bytes: number): void => {
    total += bytes;
    const sum = (owners.get(owner) ?? 0) + bytes;
    if (sum > 0) owners.set(owner, sum);
    else owners.delete(owner);
  };
  return {
    open(owner, reset) {
      const own: Waiting = { owner, reset, bytes: 0 };
      const isPlenty = (): boolean =>
        total < limits.totalMax * plentyPart && (owners.get(owner) ?? 0) < limits.ownerMax * plentyPart;
      return {
        isPlenty,
        shareBytes: () => (isPlenty() ? shareMax.plenty : shareMax.scarce),
        set(bytes) {
          add(owner, bytes - own.bytes);
          own.bytes = bytes;
          if (bytes === 0) waiting.delete(own);
          else waiting.add(own);
          if (bytes === 0 || !isOver(owner)) return;
          const isTotal = total > limits.totalMax;
          for (const oldest of waiting)
            if (isTotal || oldest.owner === owner) {
              // Its bytes are freed a moment later. The next call must not wait for the same one.
              waiting.delete(oldest);
              oldest.reset();
              return;
            }
        },
      };
    },
  };
}
