import { spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SoulBoxError } from '@soulbox/base';
import { localUrlHostOf } from '@soulbox/box/local-address';
import { findServer } from '@soulbox/box/server-file';
import type { ServerFile } from '@soulbox/box/server-file';
import { requestOnce } from './request-once.ts';

const readyTimeoutMs = 60_000;
const pollMs = 25;
const shownLines = 20;

/**
 * Starts `soulbox up` with these flags as a separate process and waits until it serves. Its own output, such as the
 * reason of a failed start, goes to DATA/logs/server.out. Each start overwrites that file, unlike the log, which is
 * rotated.
 */
export async function startDetached(
  dataDirectory: string,
  { logFile, flags }: { readonly logFile: string; readonly flags: readonly string[] },
): Promise<ServerFile> {
  const directory = join(dataDirectory, 'logs');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const printFile = join(directory, 'server.out');
  const print = await open(printFile, 'w', 0o600);
  const main = join(import.meta.dirname, '../main.ts');
  const child = spawn(process.execPath, [main, 'up', '--data-dir', dataDirectory, '--log-file', logFile, ...flags], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', print.fd, print.fd],
  });
  await print.close();
  child.unref();
  const fate: { text?: string } = {};
  child.once('error', (error) => (fate.text = error.message));
  child.once('exit', (code, signal) => (fate.text = `exit ${String(code ?? signal)}`));

  const giveUpAt = Date.now() + readyTimeoutMs;
  while (fate.text === undefined && Date.now() < giveUpAt) {
    const server = await findServer(dataDirectory);
    if (server?.state === 'ready' && server.pid === child.pid && (await isHealthy(server))) return server;
    await sleep(pollMs);
  }
  if (fate.text === undefined) child.kill('SIGTERM');
  const why = fate.text ?? `not ready within ${readyTimeoutMs / 1000} s`;
  const tail = await readTail(printFile);
  throw new SoulBoxError(
    'host_not_ready',
    `The server did not start (${why}). Its log is ${logFile}. Its output:\n${tail}`,
  );
}

async function isHealthy(server: ServerFile): Promise<boolean> {
  try {
    const url = `http://${localUrlHostOf(server.host)}:${server.port}/health`;
    const { status } = await requestOnce({ method: 'GET', url, timeoutMs: 1000 });
    return status >= 200 && status < 300;
  } catch {
    return false;
  }
}

async function readTail(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).trimEnd().split('\n').slice(-shownLines).join('\n');
}
