import { stat } from 'node:fs/promises';
import type { EnvdConfig } from './config.ts';
import { createContext } from './context.ts';
import { createCustomDirectory } from './metrics/custom-sources.ts';
import { createRequestHandler } from './routes.ts';
import { listenForPorts } from './ports/forward.ts';
import { clearLogFolder } from './output-log/clear-log-folder.ts';
import { listen } from './server/listen.ts';
import { offerProgram } from './sudo/offer-program.ts';
import { serveSudo } from './sudo/serve.ts';

/** Runs envd itself. Resolves when it listens, and serves until the sandbox ends. */
export async function serveSandbox(config: EnvdConfig): Promise<void> {
  // New files get mode 0644 and directories 0755, whatever umask was inherited.
  process.umask(0o022);
  const context = createContext(config);
  // envd is PID 1, so its end would end the sandbox. Uncaught errors are logged and survived.
  process.on('uncaughtException', (error) =>
    context.log.record('error', 'envd', 'Uncaught', { cause: String(error.stack) }),
  );
  process.on('unhandledRejection', (reason) =>
    context.log.record('error', 'envd', 'Unhandled', { cause: String(reason) }),
  );
  warmThreadPool();
  createCustomDirectory();
  await clearLogFolder(config.logDirectory);
  if (config.ownKernel) {
    serveSudo(context);
    void offerProgram(context.log);
    await listenForPorts(config.forwardPort, context.hostGate);
  }
  await listen(config.port, createRequestHandler(context), { holdsPort: config.ownKernel });
}

/**
 * Starts the threads for file operations now, so that the first request does not have to, and the host can raise their
 * priority.
 */
function warmThreadPool(): void {
  for (let count = 0; count < 8; count += 1) stat('/').catch(() => undefined);
}
