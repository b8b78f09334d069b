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

/**
 * Waits for the order to stop, then stops. SIGINT and SIGTERM end the sandboxes too; SIGHUP leaves them for the next
 * server to adopt. A second signal while stopping gives up the wait: true means that it came to that.
 */
export async function stopOnSignal(box: Box): Promise<boolean> {
  const first = await new Promise<NodeJS.Signals>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, resolve);
  });
  const stoppedAt = Date.now();
  const impatient = new Promise<true>((resolve) => {
    const onSignal = (): void => {
      if (Date.now() - stoppedAt > secondSignalAfterMs) resolve(true);
    };
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal);
  });
  const closed = box.close({ keepSandboxes: first === 'SIGHUP' }).then(() => false);
  return await Promise.race([closed, impatient]);
}
