import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createLogger } from '@soulbox/base';
import { loadBoxConfig, startBox } from '@soulbox/box';
import type { Box, BoxOverrides } from '@soulbox/box';
import { environment } from '../config.ts';

/** Starts the server in this process. Its log goes to `logFile`, or to standard error when there is none. */
export async function runServer(overrides: BoxOverrides, logFile: string | undefined): Promise<Box> {
  const config = loadBoxConfig(environment, overrides);
  if (logFile !== undefined) await mkdir(dirname(logFile), { recursive: true, mode: 0o700 });
  return await startBox({ config, logger: createLogger({ level: config.logLevel, file: logFile }) });
}

// A terminal sends Ctrl-C to every process of ours at once and our parents pass it on too: those are one, not two.
const secondSignalAfterMs = 500;

/** Orders to stop, from the moment on that `listenForStop` was called: none is lost while the server still starts. */
export interface StopOrders {
  /** True when a second order came: the wait for an orderly start or stop is to be given up. */
  readonly impatient: Promise<true>;
  /**
   * Waits for the order to stop, then stops. SIGINT and SIGTERM end the sandboxes too; SIGHUP leaves them for the next
   * server to adopt. True means that it was given up.
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
    } else if (signal !== 'SIGHUP' && Date.now() - orderedAt > secondSignalAfterMs) {
      impatient.resolve(true);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return {
    impatient: impatient.promise,
    async obey(box) {
      const signal = await first.promise;
      const closed = box.close({ keepSandboxes: signal === 'SIGHUP' }).then(() => false);
      return await Promise.race([closed, impatient.promise]);
    },
  };
}
