import { readFile } from 'node:fs/promises';
import type { FunctionSettings } from '@soulbox/contract/functions';
import type { Engine } from './engine.ts';

/**
 * Short enough for code that allocates 1 GB/s. Only used while requests are open, because an idle sandbox must sleep.
 */
const lookEveryMs = 100;
/**
 * V8 collects garbage late, and the kernel cannot tell it from memory in use. So an engine above its limit is replaced,
 * and killed only when it grows by this much more: the requests that are open then would not fit into a new one either.
 */
const allowanceMb = 128;
/** A free event loop answers a ping at once. */
const stuckMs = 1000;
/** Even a free event loop needs a moment to answer. */
const graceMs = 50;

interface Watched {
  /** The engine that serves at the moment. */
  engine(): Engine | undefined;
  /** Its predecessor, which may still have open requests. */
  retired(): Engine | undefined;
  settings(): FunctionSettings | undefined;
  /** The engine has used more memory than its limit. Called again as long as it serves; urgent before it is killed. */
  replace(engine: Engine, isUrgent: boolean): void;
  kill(engine: Engine, why: string): void;
}

/** Watches memory and event loop of the engine while requests are open. */
export interface Watch {
  /** Records the memory that the engine uses before its code runs. */
  begin(engine: Engine): Promise<void>;
  enter(): Disposable;
  /** Resolves when the engine has answered a ping or has been killed. */
  suspect(): Promise<void>;
}

export function watchEngine(watched: Watched): Watch {
  const baselines = new WeakMap<Engine, number>();
  let open = 0;
  let timer: NodeJS.Timeout | undefined;
  let pinged: { readonly engine: Engine; readonly sinceMs: number } | undefined;

  const kill = (engine: Engine, why: string): void => {
    if (engine.gone) return;
    watched.kill(engine, why);
  };
  const killStuck = (engine: Engine): void =>
    kill(engine, 'The function blocked the CPU and did not respond. It was stopped.');

  const lookAtMemory = async (engine: Engine, limitMb: number): Promise<void> => {
    const used = await residentMb(engine.pid);
    const grownMb = used - (baselines.get(engine) ?? used);
    if (grownMb > limitMb + allowanceMb)
      kill(engine, `The function used more than ${limitMb} MB of memory. It was stopped.`);
    else if (grownMb > limitMb && engine === watched.engine())
      watched.replace(engine, grownMb > limitMb + allowanceMb / 2);
  };
  const lookAtLoop = (engine: Engine, limitMs: number): void => {
    if (pinged?.engine === engine) {
      if (performance.now() - pinged.sinceMs > limitMs) killStuck(engine);
      return;
    }
    const sent = { engine, sinceMs: performance.now() };
    pinged = sent;
    const answered = (): void => {
      if (pinged === sent) pinged = undefined;
    };
    engine.ping().then(answered, answered);
  };
  const look = (): void => {
    const engine = watched.engine();
    const settings = watched.settings();
    if (engine === undefined || settings === undefined || engine.gone) return;
    lookAtLoop(engine, Math.max(stuckMs, settings.requestTimeoutMs));
    void lookAtMemory(engine, settings.memoryMb);
    const retired = watched.retired();
    if (retired?.gone === false) void lookAtMemory(retired, settings.memoryMb);
  };

  return {
    async begin(engine) {
      baselines.set(engine, await residentMb(engine.pid));
    },
    enter() {
      open += 1;
      timer ??= setInterval(look, lookEveryMs);
      let isOpen = true;
      return {
        [Symbol.dispose]() {
          if (!isOpen) return;
          isOpen = false;
          open -= 1;
          if (open > 0) return;
          clearInterval(timer);
          timer = undefined;
        },
      };
    },
    async suspect() {
      const engine = watched.engine();
      if (engine === undefined || engine.gone) return;
      const stuckSinceMs = pinged?.engine === engine ? performance.now() - pinged.sinceMs : 0;
      const late = new Promise<'late'>((resolve) => {
        setTimeout(resolve, Math.max(graceMs, stuckMs - stuckSinceMs), 'late');
      });
      const answered = engine.ping().catch(() => undefined);
      if ((await Promise.race([answered, late])) === 'late') killStuck(engine);
    },
  };
}

/**
 * The process's own memory, without the pages of its program file if the kernel reports them separately. 0 when it has
 * ended.
 */
async function residentMb(pid: number): Promise<number> {
  try {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    const found = /^RssAnon:\s+(\d+) kB$/m.exec(status) ?? /^VmRSS:\s+(\d+) kB$/m.exec(status);
    return Number(found?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
