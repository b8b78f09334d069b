/**
 * How many buffers with data of writes several mounts may hold at once, while their file systems handle the writes. A mount
 * that holds none gets one in any case, so a busy mount cannot stop another one.
 */
export interface WriteBuffers {
  readonly hasOne: () => boolean;
  readonly take: () => void;
  readonly giveBack: () => void;
  /** Calls `resume` once, when one was given back. */
  readonly wait: (resume: () => void) => void;
}

/** Each buffer has `maxWriteBytes` of its mount, 1 MiB by default. */
export function createWriteBuffers(max: number): WriteBuffers {
  if (!Number.isInteger(max) || max < 1) throw new RangeError(`${max} is no number of buffers.`);
  let held = 0;
  const waiting = new Set<() => void>();
  return {
    hasOne: () => held < max,
    take: () => {
      held += 1;
    },
    giveBack() {
      held -= 1;
      // The one that has waited longest. If it wants none any more, the next one is called when it gives its own back.
      const [first] = waiting;
      if (first === undefined) return;
      waiting.delete(first);
      first();
    },
    wait: (resume) => void waiting.add(resume),
  };
}
