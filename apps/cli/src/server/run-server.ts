import { createLogger } from '@soulbox/base';
import type { RootLogger } from '@soulbox/base';
import type { Box, BoxConfig, BoxOverrides } from '@soulbox/box';
import { loadBoxConfig } from '@soulbox/box/config';
import { superviseBox } from '@soulbox/box/supervise';
import { environment, inheritedEnvironment } from '../config.ts';

const mib = 1024 * 1024;

/**
 * Starts the server, whose parts are processes below this one. Its log goes to `logFile`, which SIGHUP opens anew, or to standard error
 * when there is none.
 */
export async function runServer(overrides: BoxOverrides, logFile: string | undefined): Promise<Box> {
  const { config, logger } = prepare(overrides, logFile);
  process.on('SIGHUP', () => logger.reopen());
  return await superviseBox({ config, logger, environment: inheritedEnvironment() });
}

/** One in this process, for a task of its own that takes a moment. */
export async function runBriefServer(overrides: BoxOverrides, logFile: string): Promise<Box> {
  const { startBox } = await import('@soulbox/box');
  return await startBox(prepare(overrides, logFile));
}

function prepare(overrides: BoxOverrides, logFile: string | undefined): { config: BoxConfig; logger: RootLogger } {
  const config = loadBoxConfig(environment, overrides);
  const limits = { maxBytes: config.logMaxMb * mib, keptFiles: config.logFiles };
  return { config, logger: createLogger({ level: config.logLevel, file: logFile, limits }) };
}

// A terminal sends Ctrl-C to every process of ours at once and our parents pass it on too: those are one, not two.
const secondSignalAfterMs = 500;

/** Stops the server and leaves its sandboxes. Node keeps SIGUSR1 for its debugger. */
const keepSignal = 'SIGUSR2';

/** Orders to stop, from the moment on that `listenForStop` was called: none is lost while the server still starts. */
export interface StopOrders {
  /** True when a second order came: the wait for an orderly start or stop is to be given up. */
  readonly impatient: Promise<true>;
  /**
   * Waits for the order to stop, then stops. SIGINT and SIGTERM end the sandboxes too; SIGUSR2 leaves them for the next
   * server to adopt. True means that it was given up, also by the server itself, whose sandboxes go on then.
   */
  obey(box: Box): Promise<boolean>;
}

export function listenForStop(): StopOrders {
  const first = Promise.withResolvers<NodeJS.Signals>();
  const impatient = Promise.withResolvers<true>();
  let orderedAt: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (orderedAt === undefined) {
      orderedAt = Date.now();
      first.resolve(signal);
    } else if (signal !== keepSignal && Date.now() - orderedAt > secondSignalAfterMs) {
      impatient.resolve(true);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', keepSignal] as const) process.on(signal, onSignal);
  // Its default is the end of the process. What it means to a server is `runServer`'s.
  process.on('SIGHUP', () => undefined);
  return {
    impatient: impatient.promise,
    async obey(box) {
      const signal = await Promise.race([first.promise, box.failed]);
      if (signal instanceof Error) {
        console.error(signal.message);
        await Promise.race([box.close({ keepSandboxes: true }), impatient.promise]);
        return true;
      }
      const closed = box.close({ keepSandboxes: signal === keepSignal }).then(() => false);
      return await Promise.race([closed, impatient.promise]);
    },
  };
}
