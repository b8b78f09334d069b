import { stat } from 'node:fs/promises';
import { readConfig } from './config.ts';
import { createContext } from './context.ts';
import { createRequestHandler } from './routes.ts';
import { listen } from './server/listen.ts';

// Files that are made are 0644 and directories 0755, whatever the starter had.
process.umask(0o022);
const context = createContext(readConfig());
// As PID 1 its end would be the sandbox's: whatever slips through is written down and survived.
process.on('uncaughtException', (error) =>
  context.log.record('error', 'envd', 'Uncaught', { cause: String(error.stack) }),
);
process.on('unhandledRejection', (reason) =>
  context.log.record('error', 'envd', 'Unhandled', { cause: String(reason) }),
);
warmThreadPool();
// The compiled form is CommonJS: no top-level await.
listen(context.config.port, createRequestHandler(context)).catch((error: unknown) => {
  process.stderr.write(`envd cannot listen: ${String(error)}\n`);
  process.exit(1);
});

/** Starts the threads that do file operations, so that the first request does not, and the host can raise them. */
function warmThreadPool(): void {
  for (let count = 0; count < 8; count += 1) stat('/').catch(() => undefined);
}
