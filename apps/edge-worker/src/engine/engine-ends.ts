import { setTimeout as pause } from 'node:timers/promises';
import type { Engine } from './engine.ts';

/**
 * A connection breaks before the end of its process is known: after 20 ms on a free machine, later when it is busy or
 * the process had much memory. Longer than this, an engine that broke off a connection is still running.
 */
const endWithinMs = 2000;

/** Why each engine ended, for the requests that it left without a response. */
export interface EngineEnds {
  /** The reason is that of the first call. Before a kill, so that no request sees the end without its reason. */
  record(engine: Engine, why: string): void;
  /** The reason recorded by this supervisor, or undefined. */
  recorded(engine: Engine): string | undefined;
  /** For a request whose connection the engine broke off. Waits at most 2 seconds until the end of the engine is known. */
  explain(engine: Engine): Promise<string>;
}

export const endedByItself = 'The function ended unexpectedly: it ran out of memory, or its engine failed.';

export function createEngineEnds(): EngineEnds {
  const reasons = new WeakMap<Engine, string>();
  return {
    record(engine, why) {
      if (!reasons.has(engine)) reasons.set(engine, why);
    },
    recorded: (engine) => reasons.get(engine),
    async explain(engine) {
      const known = reasons.get(engine);
      if (known !== undefined) return known;
      const hasEnded = await Promise.race([engine.exited.then(() => true), pause(endWithinMs, false, { ref: false })]);
      return reasons.get(engine) ?? (hasEnded ? endedByItself : 'The function closed the connection unexpectedly.');
    },
  };
}
