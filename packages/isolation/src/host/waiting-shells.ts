import type { Logger } from '@soulbox/base';
import type { ToolOptions } from './host-tool.ts';
import type { WaitingTool } from './waiting-tool.ts';

/** Whoever waits for the script of a shell is about to go on, and a start takes some 20 ms of CPU. */
const refillDelayMs = 300;

/**
 * Shells that run a script of the driver, each one once. Some wait already, in namespaces of their own. They end with
 * this process.
 */
export interface WaitingShells<Needs = never> {
  /** Starts the missing ones. */
  fill(): void;
  /** `needs`: what no waiting shell has, so one is started for it. Throws the errors of `runHostTool`. */
  run(
    script: string,
    args: readonly string[],
    options: Pick<ToolOptions, 'tools' | 'signal' | 'timeoutMs' | 'onLine'> & { readonly needs?: Needs | undefined },
  ): Promise<void>;
}

export function createWaitingShells<Needs = never>({
  logger,
  spares,
  purpose,
  start,
}: {
  readonly logger: Logger;
  /** How many wait. */
  readonly spares: number;
  /** For the log. */
  readonly purpose: string;
  /** Starts a shell that reads its order by take-order.sh. */
  readonly start: (needs?: Needs) => WaitingTool;
}): WaitingShells<Needs> {
  let waiting: WaitingTool[] = [];
  let isFilling = false;
  const take = (): WaitingTool => {
    waiting = waiting.filter((shell) => shell.isWaiting);
    return waiting.shift() ?? start();
  };
  const shells: WaitingShells<Needs> = {
    fill() {
      if (isFilling) return;
      isFilling = true;
      setTimeout(() => {
        isFilling = false;
        waiting = waiting.filter((shell) => shell.isWaiting);
        try {
          while (waiting.length < spares) waiting.push(start());
        } catch (err) {
          logger.warn({ err }, `a shell for ${purpose} could not be started ahead: the next use starts its own`);
        }
      }, refillDelayMs).unref();
    },
    async run(script, args, { needs, ...options }) {
      const shell = needs === undefined ? take() : start(needs);
      try {
        await shell.begin([options.tools.traceName, script, ...args], options);
      } finally {
        shells.fill();
      }
    },
  };
  return shells;
}
