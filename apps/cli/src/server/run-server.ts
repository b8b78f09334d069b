import { createLogger } from '@soulbox/base/logger';
import type { RootLogger } from '@soulbox/base';
import type { Box, BoxConfig, BoxOverrides } from '@soulbox/box';
import { loadBoxConfig } from '@soulbox/box/config';
import { superviseBox } from '@soulbox/box/supervise';
import { returnUnusedMemory } from '@soulbox/process';
import { environment, inheritedEnvironment } from '../config.ts';

const mib = 1024 * 1024;

/**
 * Starts the server with its parts as child processes, or with `units` as systemd units. The log goes to `logFile`,
 * which SIGHUP reopens, or to standard error without a file. Units have the journal.
 */
export async function runServer(
  overrides: BoxOverrides,
  { logFile, units }: { readonly logFile: string | undefined; readonly units: boolean },
): Promise<Box> {
  const { config, logger } = prepare(overrides, logFile);
  process.on('SIGHUP', () => logger.reopen());
  const box = await superviseBox({ config, logger, environment: inheritedEnvironment(), units });
  returnUnusedMemory();
  return box;
}

/** Starts a server in this process, for a short task of the command itself. */
export async function runBriefServer(overrides: BoxOverrides, logFile: string): Promise<Box> {
  const { startBox } = await import('@soulbox/box');
  return await startBox(prepare(overrides, logFile));
}

function prepare(overrides: BoxOverrides, logFile: string | undefined): { config: BoxConfig; logger: RootLogger } {
  const config = loadBoxConfig(environment, overrides);
  const limits = { maxBytes: config.logMaxMb * mib, keptFiles: config.logFiles };
  return { config, logger: createLogger({ level: config.logLevel, file: logFile, limits }) };
}

// A terminal sends Ctrl-C to all our processes at once, and our parents forward it too. Those signals count as one.
const secondSignalAfterMs = 500;

/** Stops the server and keeps its sandboxes. Not SIGUSR1, which Node uses for its debugger. */
const keepSignal = 'SIGUSR2';

/**
 * Orders to stop. They are collected from the call of `listenForStop` on, so that none is lost while the server starts.
 */
export interface StopOrders {
  /** Resolves to true at a second order: the orderly start or stop must then be abandoned. */
  readonly impatient: Promise<true>;
  /**
   * Waits for the order to stop, then stops. SIGINT and SIGTERM also end the sandboxes; SIGUSR2 keeps them for the next
   * server to adopt. Returns true when the stop was abandoned, or when the server failed by itself; its sandboxes then
   * continue.
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
  // The default action would end the process. `runServer` gives the signal its meaning.
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
