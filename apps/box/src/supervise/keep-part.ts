import { setTimeout as sleep } from 'node:timers/promises';

import type { OwnFigures, RootLogger } from '@soulbox/base';
import type { WantedPart } from '@soulbox/process';
import type { LaunchPart, PartPlan } from './launch.ts';
import { controlPart } from './part-process.ts';
import type { PartProcess } from './part-process.ts';
import { createStandby, noStandby } from './standby.ts';
import type { Standby } from './standby.ts';

/** How to handle a part that ends by itself repeatedly. */
export interface CrashPolicy {
  /** Only crashes within this time are counted together. */
  readonly windowMs: number;
  /** Number of immediate restarts. Later ones wait, and the wait doubles each time. */
  readonly promptRestarts: number;
  readonly firstWaitMs: number;
  readonly waitMaxMs: number;
  /** Above this number the part is considered broken, and an operator must look. */
  readonly crashesMax: number;
}

const usualPolicy: CrashPolicy = {
  windowMs: 120_000,
  promptRestarts: 5,
  firstWaitMs: 200,
  waitMaxMs: 10_000,
  crashesMax: 15,
};

/** When a part counts as hanging. */
export interface HangPolicy {
  readonly askEveryMs: number;
  /**
   * After this number of unanswered questions in a row the part is killed and restarted. This is a count and not a
   * time, because this process may have hung itself.
   */
  readonly unansweredMax: number;
}

const usualHangPolicy: HangPolicy = { askEveryMs: 10_000, unansweredMax: 6 };

/** A part that is restarted whenever it ends by itself or hangs. */
export interface KeptPart {
  readonly facts: Readonly<Record<string, unknown>>;
  pid(): number;
  /** Number of restarts since the start of the server. */
  restarts(): number;
  /** The latest figures that it reported, if it reports any. */
  figures(): OwnFigures | undefined;
  /** Throws while it is not running. */
  tell(what: string, value?: unknown): Promise<void>;
  stop(options: { keepSandboxes: boolean; timeoutMs: number }): Promise<void>;
}

export interface KeepOptions {
  readonly plan: PartPlan;
  readonly launch: LaunchPart;
  /** Called for each start. */
  readonly settings: () => object;
  /** Called before a process receives its settings. */
  readonly onProcess: (pid: number) => Promise<void>;
  /** Called once, when it has ended too often. */
  readonly onGivenUp: (error: Error) => void;
  /** Called when it asks for another part, perhaps often: a part may be compromised. */
  readonly onWant?: (part: WantedPart) => void;
  /** While the part wants it, its next process is loaded in advance. Not for units, of which there is one each. */
  readonly hasStandby?: boolean;
  readonly policy?: CrashPolicy;
  readonly hangPolicy?: HangPolicy;
  readonly logger: RootLogger;
}

/** A process that is already loading its code. */
export interface LoadingPart {
  /** Throws the error that the part reports at its first start; later starts are retried. */
  start(): Promise<KeptPart>;
  kill(): void;
}

export function loadPart(options: KeepOptions): LoadingPart {
  const standby = options.hasStandby === true ? createStandby(async () => await load(options, onStandby)) : noStandby;
  const onStandby = (isWanted: boolean): void => standby.want(isWanted);
  const loading = load(options, onStandby);
  loading.catch(() => undefined);
  return {
    kill: () => void loading.then((first) => first.kill()).catch(() => undefined),
    async start() {
      const first = await loading;
      await options.onProcess(first.pid);
      const facts = await first.start(options.settings());
      return keep(options, { first, facts, standby });
    },
  };
}

async function load(
  { plan, launch, logger, onWant }: KeepOptions,
  onStandby?: (isWanted: boolean) => void,
): Promise<PartProcess> {
  return controlPart(plan.name, await launch(plan), logger, { onWant, onStandby });
}

interface Started {
  readonly first: PartProcess;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly standby: Standby;
}

function keep(options: KeepOptions, { first, facts, standby }: Started): KeptPart {
  const { plan, logger, policy = usualPolicy, hangPolicy = usualHangPolicy } = options;
  const { windowMs, crashesMax } = policy;
  const crashes: number[] = [];
  let current: PartProcess | undefined = first;
  let restarts = 0;
  let figures: OwnFigures | undefined;
  let isStopping = false;

  /** Returns undefined if there is no process. */
  const restart = async (): Promise<PartProcess | undefined> => {
    let next: PartProcess | undefined;
    try {
      next = (await standby.take()) ?? (await load(options, (isWanted) => standby.want(isWanted)));
      if (isStopping) throw new Error(`The ${plan.name} is being stopped.`);
      current = next;
      await options.onProcess(next.pid);
      await next.start(options.settings());
      restarts += 1;
      logger.info({ part: plan.name, pid: next.pid }, 'process restarted');
    } catch (err) {
      if (!isStopping) logger.error({ part: plan.name, err }, 'a process of the server could not be restarted');
      next?.kill();
    }
    return next;
  };
  const watch = async (): Promise<void> => {
    for (let running: PartProcess | undefined = first; ;) {
      const { code, signal } = (await running?.exited) ?? { code: null, signal: null };
      if (isStopping) return;
      current = undefined;
      const now = performance.now();
      crashes.push(now);
      while (now - (crashes[0] ?? now) > windowMs) crashes.shift();
      logger.error(
        { part: plan.name, pid: running?.pid, code, signal, crashes: crashes.length },
        'a process of the server ended unexpectedly',
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
      // oxlint-disable-next-line typescript/no-unnecessary-condition -- it is set while this waits
      if (isStopping) return;
      running = await restart();
    }
  };
  void watch();

  let unanswered: { readonly by: PartProcess; readonly count: number } | undefined;
  const askWhetherAlive = async (): Promise<void> => {
    standby.prepare();
    const asked = current;
    if (asked === undefined || isStopping) return;
    try {
      figures = await asked.checkAlive(hangPolicy.askEveryMs);
      unanswered = undefined;
    } catch {
      if (asked !== current) return;
      const count = (unanswered?.by === asked ? unanswered.count : 0) + 1;
      unanswered = { by: asked, count };
      if (count < hangPolicy.unansweredMax) return;
      logger.error({ part: plan.name, pid: asked.pid }, 'a process of the server hangs and is killed');
      asked.kill();
    }
  };
  const asking = setInterval(() => void askWhetherAlive(), hangPolicy.askEveryMs).unref();

  return {
    facts,
    pid: () => current?.pid ?? -1,
    restarts: () => restarts,
    figures: () => figures,
    async tell(what, value) {
      if (current === undefined) throw new Error(`The ${plan.name} is being restarted.`);
      await current.tell(what, value);
    },
    async stop(how) {
      isStopping = true;
      clearInterval(asking);
      standby.end();
      await current?.stop(how);
    },
  };
}

export function waitOf(crashes: number, { promptRestarts, firstWaitMs, waitMaxMs }: CrashPolicy): number {
  const late = crashes - promptRestarts;
  return late <= 0 ? 0 : Math.min(waitMaxMs, firstWaitMs * 2 ** (late - 1));
}
