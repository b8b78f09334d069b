import type { Engine } from './engine.ts';

/** Counts the open requests of an engine. `end` is called once it has been retired and none is open. */
export function createOpenRequests(end: () => void): Pick<Engine, 'enter' | 'retire'> {
  let open = 0;
  let isRetired = false;
  const endIfUnused = (): void => {
    if (isRetired && open === 0) end();
  };
  return {
    enter() {
      open += 1;
      let isOpen = true;
      return {
        [Symbol.dispose]() {
          if (!isOpen) return;
          isOpen = false;
          open -= 1;
          endIfUnused();
        },
      };
    },
    retire() {
      isRetired = true;
      endIfUnused();
    },
  };
}
