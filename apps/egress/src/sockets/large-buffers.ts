/** With it, one connection needs a quarter of the wake-ups that Node's own 64 KiB cost; 2 MiB gain nothing. Bytes. */
const sizeBytes = 2 ** 20;
/** Buffers that are leased at the same time: together, and for one sandbox. */
const leasedMax = 32;
const ownerMax = 8;
/** Buffers that are kept for the next lease. */
const keptMax = 4;

/** A large buffer that belongs to one direction of a connection. */
export interface Lease {
  readonly buffer: Buffer;
  /** Only the first call has an effect. Nothing may refer to the memory any more. */
  release(): void;
}

/** Large buffers for connections that move many bytes. Who gets none reads into a small one, and is only slower. */
export interface LargeBuffers {
  /** Undefined if there are none for this owner now. */
  lease(owner: string): Lease | undefined;
}

export function createLargeBuffers(limits = { leasedMax, ownerMax }): LargeBuffers {
  const kept: Buffer[] = [];
  const owners = new Map<string, number>();
  let leased = 0;
  const count = (owner: string, by: number): void => {
    leased += by;
    const held = (owners.get(owner) ?? 0) + by;
    if (held > 0) owners.set(owner, held);
    else owners.delete(owner);
  };
  return {
    lease(owner) {
      if (leased >= limits.leasedMax || (owners.get(owner) ?? 0) >= limits.ownerMax) return undefined;
      count(owner, 1);
      const buffer = kept.pop() ?? Buffer.allocUnsafeSlow(sizeBytes);
      let isReleased = false;
      return {
        buffer,
        release() {
          if (isReleased) return;
          isReleased = true;
          count(owner, -1);
          if (kept.length < keptMax) kept.push(buffer);
        },
      };
    },
  };
}
