import type { PartProcess } from './part-process.ts';

/** The next process of a part, which has loaded its code and waits for its settings. */
export interface Standby {
  /** Whether there should be one. */
  want(isWanted: boolean): void;
  /** Starts one soon, if it is missing. */
  prepare(): void;
  /** The process, which belongs to the caller. Undefined if there is none. Another one is not wanted until it says so. */
  take(): Promise<PartProcess | undefined>;
  /** For good. */
  end(): void;
}

/** So long after it was wanted, because the process that wants it has more important work on the same processors. Milliseconds. */
const delayMs = 1000;

export const noStandby: Standby = {
  want: () => undefined,
  prepare: () => undefined,
  take: async () => await Promise.resolve(undefined),
  end: () => undefined,
};

/** `load` starts a process, which is ended when it is not needed. It is tried again with each `prepare`. */
export function createStandby(load: () => Promise<PartProcess>, startDelayMs = delayMs): Standby {
  let isWanted = false;
  let hasEnded = false;
  let timer: NodeJS.Timeout | undefined;
  let waiting: Promise<PartProcess | undefined> | undefined;

  const start = (): void => {
    timer = undefined;
    const started = load().catch(() => undefined);
    waiting = started;
    const forget = (): void => {
      if (waiting === started) waiting = undefined;
    };
    void started.then(async (process) => {
      await process?.exited;
      forget();
    });
  };
  const prepare = (): void => {
    if (isWanted && !hasEnded && waiting === undefined) timer ??= setTimeout(start, startDelayMs).unref();
  };
  const drop = (): void => {
    clearTimeout(timer);
    timer = undefined;
    void waiting?.then((process) => process?.kill());
    waiting = undefined;
  };
  return {
    want(wanted) {
      isWanted = wanted;
      if (wanted) prepare();
      else drop();
    },
    prepare,
    async take() {
      isWanted = false;
      clearTimeout(timer);
      timer = undefined;
      const taken = waiting;
      waiting = undefined;
      return await taken;
    },
    end() {
      hasEnded = true;
      drop();
    },
  };
}
