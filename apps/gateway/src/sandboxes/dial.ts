import { setTimeout as delay } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import type { SandboxRouter } from '@soulbox/contract';
import type { Duplex } from 'node:stream';

export interface DialOptions {
  /** Further attempts while nothing listens, because a server that has just started may need a moment. */
  readonly retries: number;
  readonly retryDelayMs: number;
  /** True once the sandbox is no longer served. Connections opened after that are closed. */
  readonly isGone: () => boolean;
}

/** Opens a connection inside the sandbox. Throws `port_closed` or `sandbox_not_found`. */
export async function dialSandbox(
  router: SandboxRouter,
  sandboxId: string,
  port: number,
  options: DialOptions,
): Promise<Duplex> {
  for (let attempt = 0; ; attempt += 1) {
    if (options.isGone()) throw gone(sandboxId);
    try {
      const connection = await router.dial(sandboxId, port);
      if (!options.isGone()) return connection;
      connection.on('error', () => undefined);
      connection.destroy();
    } catch (error) {
      const closed = error instanceof SoulBoxError && error.reason === 'port_closed';
      if (!closed || attempt >= options.retries) throw error;
      await delay(options.retryDelayMs);
    }
  }
}

/** The sandbox is no longer served. */
export function gone(sandboxId: string): SoulBoxError {
  return new SoulBoxError(
    'sandbox_not_found',
    `Sandbox "${sandboxId}" ended while a connection to it was being opened.`,
  );
}
