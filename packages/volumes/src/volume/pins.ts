/** Which files somebody can still ask for without a name: each mount knows some by their number. */
export interface Pins {
  add(holder: string, ino: number): void;
  /** Returns whether nobody else has it. */
  drop(holder: string, ino: number): boolean;
  has(ino: number): boolean;
  /** The holder was served by another process before. It may know anything below `before`. */
  adopt(holder: string, before: number): void;
  removeHolder(holder: string): void;
}

export function createPins(): Pins {
  const known = new Map<string, Set<number>>();
  const adopted = new Map<string, number>();
  const has = (ino: number): boolean =>
    [...adopted.values()].some((before) => ino < before) || [...known.values()].some((inos) => inos.has(ino));
  return {
    add(holder, ino) {
      let inos = known.get(holder);
      if (inos === undefined) known.set(holder, (inos = new Set()));
      inos.add(ino);
    },
    drop(holder, ino) {
      known.get(holder)?.delete(ino);
      return !has(ino);
    },
    has,
    adopt: (holder, before) => void adopted.set(holder, before),
    removeHolder(holder) {
      known.delete(holder);
      adopted.delete(holder);
    },
  };
}
