import { SoulBoxError } from '@soulbox/base';

/** Ids of one sandbox: a complete 16-bit range, which user namespaces need. */
const idsPerSlot = 65_536;
/** Slots per instance: 1 to 4094. In the last instance slot 4095 would hold id 2^32 - 1, which means "no id". */
export const lastSlot = 4094;

/** The first host uid and gid of a slot. Instance n owns 2^28 ids from (n + 1) * 2^28 on. */
export function idBaseOf(instance: number, slot: number): number {
  return (instance + 1) * 2 ** 28 + slot * idsPerSlot;
}

/** Assigns slots. A slot decides a sandbox's uid range, address and interface name. */
export interface Slots {
  /** The lowest free slot. Throws `too_many_sandboxes` when all are taken. */
  take(): number;
  /** Takes the slot of an adopted sandbox. False when it is taken already. */
  claim(slot: number): boolean;
  release(slot: number): void;
}

export function createSlots(): Slots {
  const taken = new Set<number>();
  return {
    take() {
      for (let slot = 1; slot <= lastSlot; slot++) {
        if (!taken.has(slot)) {
          taken.add(slot);
          return slot;
        }
      }
      throw new SoulBoxError('too_many_sandboxes', `The host cannot run more than ${lastSlot} sandboxes.`);
    },
    claim(slot) {
      if (taken.has(slot)) return false;
      taken.add(slot);
      return true;
    },
    release(slot) {
      taken.delete(slot);
    },
  };
}
