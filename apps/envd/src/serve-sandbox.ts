import { stat } from 'node:fs/promises';
import type { EnvdConfig } from './config.ts';
import { createContext } from './context.ts';
import { createRequestHandler } from './routes.ts';
import { listenForPorts } from './ports/forward.ts';
import { listen } from './server/listen.ts';
import { offerProgram } from './sudo/offer-program.ts';
import { serveSudo } from './sudo/serve.ts';

/** envd itself. Resolves when it listens, and serves until the sandbox ends. */
export async function serveSandbox(config: EnvdConfig): Promise<void> {
  // Files that are made are 0644 and directories 0755, whatever the starter had.
  process.umask(0o022);
  const context = createContext(config);
  // As PID 1 its end would be the sandbox's: whatever slips through is written down and survived.
  process.on('uncaughtException', (error) =>
    context.log.record('error', 'envd', 'Uncaught', { cause: String(error.stack) }),
  );
  process.on('unhandledRejection', (reason) =>
    context.log.record('error', 'envd', 'Unhandled', { cause: String(reason) }),
  );
  warmThreadPool();
  if (config.ownKernel) {
    serveSudo(context);
    void offerProgram(context.log);
    await listenForPorts(config.forwardPort, context.hostGate);
  }
  await listen(config.port, createRequestHandler(context));
}

/** Starts the threads that do file operations, so that the first request does not, and the host can raise them. */
function warmThreadPool(): void {
  for (let count = 0; count < 8; count += 1) stat('/').catch(() => undefined);
}
