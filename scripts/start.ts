import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findServer } from '@soulbox/box/server-file';
import type { ServerFile } from '@soulbox/box/server-file';
import { resolveFolders } from '../apps/cli/src/config.ts';
import { readClientEnvironment } from '../apps/cli/src/server/client-lines.ts';

// `npm start`: `soulbox up` in the foreground, and a demonstration beside it. Flags are those of `soulbox up`.
const flags = process.argv.slice(2);
const position = flags.indexOf('--data-dir');
const { dataDirectory } = resolveFolders(position < 0 ? undefined : flags[position + 1]);
const repository = join(import.meta.dirname, '..');

const logFile = join(dataDirectory, 'logs/server.log');
const server = runNode(['apps/cli/src/main.ts', 'up', '--install', '--log-file', logFile, ...flags]);
const stopped = once(server, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => server.kill(signal));

const ready = await waitUntilReady();
if (ready !== undefined) await demonstrate(ready);
const [code] = await stopped;
process.exitCode = code ?? 1;

/** Undefined if the server ends first, for example because of a wrong setting. */
async function waitUntilReady(): Promise<ServerFile | undefined> {
  while (server.exitCode === null && server.signalCode === null) {
    const found = await findServer(dataDirectory);
    if (found?.state === 'ready' && found.pid === server.pid) return found;
    await sleep(25);
  }
  return undefined;
}

async function demonstrate(found: ServerFile): Promise<void> {
  const variables = await readClientEnvironment(dataDirectory, found, false);
  const demo = runNode(['scripts/demo.ts'], variables);
  void stopped.then(() => demo.kill());
  const [demoCode] = (await once(demo, 'exit')) as [number | null];
  if (server.exitCode !== null || server.signalCode !== null) return;
  if (demoCode !== 0)
    console.error(`\nThe demonstration failed. The log is ${logFile}; \`sudo soulbox doctor\` may know more.`);
  console.log('\nThe server stays up. In another terminal: eval "$(sudo soulbox env)". Ctrl-C ends it.');
}

function runNode(args: readonly string[], variables: Readonly<Record<string, string>> = {}): ChildProcess {
  return spawn(process.execPath, [...args], {
    cwd: repository,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...variables },
  });
}
