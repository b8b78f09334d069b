/** Which files somebody can still ask for without a name: each mount knows some by their number. */
export interface Pins {
  add(holder: string, ino: number): void;
  drop(holder: string, ino: number): void;
  /** The same for a file without names: also what the process before knew of it is over. */
  dropOrphan(holder: string, ino: number): void;
  has(ino: number): boolean;
  /** The holder was served by another process before. It may know anything below `before`. */
  adopt(holder: string, before: number): void;
  removeHolder(holder: string): void;
}

export function createPins(): Pins {
  const known = new Map<string, Set<number>>();
  const adopted = new Map<string, { readonly before: number; readonly except: Set<number> }>();
  const has = (ino: number): boolean =>
    [...adopted.values()].some(({ before, except }) => ino < before && !except.has(ino)) ||
    [...known.values()].some((inos) => inos.has(ino));
  return {
    add(holder, ino) {
      let inos = known.get(holder);
      if (inos === undefined) known.set(holder, (inos = new Set()));
      inos.add(ino);
    },
    drop: (holder, ino) => void known.get(holder)?.delete(ino),
    dropOrphan(holder, ino) {
      known.get(holder)?.delete(ino);
      const past = adopted.get(holder);
      if (past !== undefined && ino < past.before) past.except.add(ino);
    },
    has,
    adopt: (holder, before) => void adopted.set(holder, { before, except: new Set() }),
    removeHolder(holder) {
      known.delete(holder);
      adopted.delete(holder);
    },
  };
}
