import type { FunctionServed, FunctionSettings } from '@soulbox/contract/functions';
import type { Link } from '../link/link.ts';
import { createKvBindings } from '../link/kv-bindings.ts';
import type { FunctionLog } from '../log/function-log.ts';
import { EngineFault } from './engine.ts';
import type { Engine } from './engine.ts';
import { createEngineEnds, endedByItself } from './engine-ends.ts';
import { startEngine } from './start-engine.ts';
import { watchEngine } from './watch-engine.ts';

/** A failed start is not retried sooner: code that cannot start must not keep the sandbox busy. */
const retryAfterMs = 1000;

/** Keeps the engine of one function running: starts it on demand and kills it when it misbehaves. */
export interface EngineLifecycle {
  /** Undefined until the host has sent the settings. */
  readonly settings: FunctionSettings | undefined;
  serve(settings: FunctionSettings): Promise<FunctionServed>;
  /**
   * Returns a serving engine, and starts one when there is none. It is kept until the request has ended, which disposing
   * tells. Throws `EngineFault`.
   */
  use(): Promise<EngineUse>;
  /** A request counts as open until this is disposed. The engine is watched while requests are open. */
  enter(): Disposable;
  /**
   * Called when a request got no response in time. An engine that does not answer a ping either is killed before this
   * resolves.
   */
  suspect(): Promise<void>;
  /** Why the engine left a request without a response. Waits at most 2 seconds until its end is known. */
  explainEnd(engine: Engine): Promise<string>;
}

export interface EngineUse extends Disposable {
  readonly engine: Engine;
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'starting'; readonly starting: Promise<Engine> }
  | { readonly kind: 'running'; readonly engine: Engine }
  | { readonly kind: 'broken'; readonly fault: EngineFault; readonly untilMs: number };

export function createEngineLifecycle(log: FunctionLog, link: Link): EngineLifecycle {
  const kv = createKvBindings(link);
  let settings: FunctionSettings | undefined;
  let state: State = { kind: 'idle' };
  const ends = createEngineEnds();
  let replacing: Engine | undefined;
  let retired: Engine | undefined;
  const stop = (engine: Engine | undefined, why: string): void => {
    if (engine === undefined || engine.gone) return;
    ends.record(engine, why);
    engine.kill();
  };
  const watch = watchEngine({
    engine: () => (state.kind === 'running' ? state.engine : undefined),
    retired: () => retired,
    settings: () => settings,
    replace: (engine, isUrgent) => void replace(engine, isUrgent),
    kill: (engine, why) => {
      log.add({ source: 'system', level: 'error', message: why });
      stop(engine, why);
    },
  });

  const startWatched = async (wanted: FunctionSettings): Promise<Engine> => {
    const engine = await startEngine(wanted, log, kv);
    await watch.begin(engine);
    return engine;
  };

  const serveWith = (engine: Engine): void => {
    state = { kind: 'running', engine };
    void engine.exited.then(() => {
      if (state.kind !== 'running' || state.engine !== engine) return;
      state = { kind: 'idle' };
      if (ends.recorded(engine) === undefined) log.add({ source: 'system', level: 'error', message: endedByItself });
    });
  };

  /**
   * New requests go to a new engine; those that are open stay where they are. There is at most one predecessor, which
   * ends early only when it is urgent.
   */
  const replace = async (engine: Engine, isUrgent: boolean): Promise<void> => {
    if (replacing !== undefined || settings === undefined) return;
    if (retired?.gone === false && !isUrgent) return;
    replacing = engine;
    const wanted = settings;
    try {
      const next = await startWatched(wanted);
      // Meanwhile the function may have been deployed again, or the engine may have ended.
      if (state.kind !== 'running' || state.engine !== engine || settings !== wanted) {
        next.kill();
        return;
      }
      stop(retired, `The function used more than ${wanted.memoryMb} MB of memory. Its old engine was stopped.`);
      retired = engine;
      serveWith(next);
      engine.retire();
      const message = `The function had used ${wanted.memoryMb} MB of memory. New requests get a new engine.`;
      log.add({ source: 'system', level: 'info', message });
    } catch {
      // The engine serves on. It is tried again at the next look.
    } finally {
      replacing = undefined;
    }
  };

  const start = async (wanted: FunctionSettings): Promise<Engine> => {
    try {
      const engine = await startWatched(wanted);
      serveWith(engine);
      return engine;
    } catch (thrown) {
      const broken =
        thrown instanceof EngineFault
          ? thrown
          : new EngineFault(`The function could not be started: ${String(thrown)}`);
      log.add({ source: 'system', level: 'error', message: broken.message });
      state = { kind: 'broken', fault: broken, untilMs: performance.now() + retryAfterMs };
      throw broken;
    }
  };

  const ready = async (): Promise<Engine> => {
    if (settings === undefined) throw new EngineFault('The function is not deployed yet.');
    if (state.kind === 'running' && !state.engine.gone) return state.engine;
    if (state.kind === 'starting') return await state.starting;
    if (state.kind === 'broken' && performance.now() < state.untilMs) throw state.fault;
    const starting = start(settings);
    state = { kind: 'starting', starting };
    return await starting;
  };

  return {
    get settings() {
      return settings;
    },
    async serve(wanted) {
      for (const engine of [state.kind === 'running' ? state.engine : undefined, retired])
        stop(engine, 'The function was deployed again and its engine was stopped.');
      settings = wanted;
      state = { kind: 'idle' };
      try {
        await ready();
        return { state: 'ready' };
      } catch (thrown) {
        return { state: 'broken', message: thrown instanceof Error ? thrown.message : String(thrown) };
      }
    },
    async use() {
      // Nothing may come between the choice of the engine and `enter`: a retired engine without requests ends.
      const isServing = state.kind === 'running' && !state.engine.gone;
      const engine = isServing && state.kind === 'running' ? state.engine : await ready();
      const entry = engine.enter();
      return { engine, [Symbol.dispose]: () => entry[Symbol.dispose]() };
    },
    enter: () => watch.enter(),
    suspect: () => watch.suspect(),
    explainEnd: (engine) => ends.explain(engine),
  };
}
