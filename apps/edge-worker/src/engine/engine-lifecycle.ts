import type { FunctionServed, FunctionSettings } from '@soulbox/contract/functions';
import type { Link } from '../link/link.ts';
import { createKvBindings } from '../link/kv-bindings.ts';
import type { FunctionLog } from '../log/function-log.ts';
import { EngineFault } from './engine.ts';
import type { Engine } from './engine.ts';
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
  /** Why the last engine was killed or ended, for the requests that it left unanswered. */
  lastFault(): string;
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
  let fault = 'The function ended unexpectedly.';
  let replacing: Engine | undefined;
  let retired: Engine | undefined;
  const watch = watchEngine({
    engine: () => (state.kind === 'running' ? state.engine : undefined),
    retired: () => retired,
    settings: () => settings,
    replace: (engine, isUrgent) => void replace(engine, isUrgent),
    kill: (engine, why) => {
      fault = why;
      log.add({ source: 'system', level: 'error', message: why });
      engine.kill();
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
      if (watch.killed(engine)) return;
      fault = 'The function ended unexpectedly: it ran out of memory, or its engine failed.';
      log.add({ source: 'system', level: 'error', message: fault });
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
      retired?.kill();
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
      if (state.kind === 'running') state.engine.kill();
      retired?.kill();
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
    lastFault: () => fault,
  };
}
