import { sleep } from '@soulbox/base';
import type { RootLogger } from '@soulbox/base';
import { startPartProcess } from './part-process.ts';
import type { PartPlan, PartProcess } from './part-process.ts';

/** How a part is treated that ends by itself again and again. */
export interface CrashPolicy {
  /** Crashes within this time count together. */
  readonly windowMs: number;
  /** So many of them are answered at once, later ones after a wait that doubles. */
  readonly promptRestarts: number;
  readonly firstWaitMs: number;
  readonly waitMaxMs: number;
  /** With more the part does not work: an operator must look. */
  readonly crashesMax: number;
}

const usualPolicy: CrashPolicy = {
  windowMs: 120_000,
  promptRestarts: 5,
  firstWaitMs: 200,
  waitMaxMs: 10_000,
  crashesMax: 15,
};

/** A part that is started again whenever it ends by itself. */
export interface KeptPart {
  readonly facts: Readonly<Record<string, unknown>>;
  pid(): number;
  /** Throws when it is not running now. */
  tell(what: string, value?: unknown): Promise<void>;
  stop(options: { keepSandboxes: boolean; timeoutMs: number }): Promise<void>;
}

export interface KeepOptions {
  readonly plan: PartPlan;
  /** Asked for each start. */
  readonly settings: () => object;
  /** Called before a process is given its settings. */
  readonly onProcess: (pid: number) => Promise<void>;
  /** Called once, when it has ended too often. */
  readonly onGivenUp: (error: Error) => void;
  readonly policy?: CrashPolicy;
  readonly logger: RootLogger;
}

/** A process that loads already. */
export interface LoadingPart {
  /** Throws what the part says of its first start; later ones are tried again. */
  start(): Promise<KeptPart>;
  kill(): void;
}

export function loadPart(options: KeepOptions): LoadingPart {
  const { plan, logger } = options;
  const first = startPartProcess(plan, logger);
  return {
    kill: () => first.kill(),
    async start() {
      await options.onProcess(first.pid);
      const facts = await first.start(options.settings());
      return keep(options, first, facts);
    },
  };
}

function keep(options: KeepOptions, first: PartProcess, facts: Readonly<Record<string, unknown>>): KeptPart {
  const { plan, logger, policy = usualPolicy } = options;
  const { windowMs, crashesMax } = policy;
  const crashes: number[] = [];
  let current: PartProcess | undefined = first;
  let isStopping = false;

  const restart = async (): Promise<PartProcess> => {
    const next = startPartProcess(plan, logger);
    current = next;
    try {
      await options.onProcess(next.pid);
      await next.start(options.settings());
      logger.info({ part: plan.name, pid: next.pid }, 'process started again');
    } catch (err) {
      if (!isStopping) logger.error({ part: plan.name, err }, 'a process of the server could not be started again');
      next.kill();
    }
    return next;
  };
  const watch = async (): Promise<void> => {
    for (let running = first; ;) {
      const { code, signal } = await running.exited;
      if (isStopping) return;
      current = undefined;
      const now = performance.now();
      crashes.push(now);
      while (now - (crashes[0] ?? now) > windowMs) crashes.shift();
      logger.error(
        { part: plan.name, pid: running.pid, code, signal, crashes: crashes.length },
        'a process of the server ended by itself',
      );
      if (crashes.length > crashesMax) {
        options.onGivenUp(
          new Error(
            `The ${plan.name} ended ${crashes.length} times within ${windowMs / 1000} s. The log has the reasons.`,
          ),
        );
        return;
      }
      await sleep(waitOf(crashes.length, policy));
      // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- it is set while this waits
      if (isStopping) return;
      running = await restart();
    }
  };
  void watch();

  return {
    facts,
    pid: () => current?.pid ?? -1,
    async tell(what, value) {
      if (current === undefined) throw new Error(`The ${plan.name} is being started again.`);
      await current.tell(what, value);
    },
    async stop(how) {
      isStopping = true;
      await current?.stop(how);
    },
  };
}

export function waitOf(crashes: number, { promptRestarts, firstWaitMs, waitMaxMs }: CrashPolicy): number {
  const late = crashes - promptRestarts;
  return late <= 0 ? 0 : Math.min(waitMaxMs, firstWaitMs * 2 ** (late - 1));
}
