import { spawn } from 'node:child_process';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep, SoulBoxError } from '@soulbox/base';
import { findServer } from '@soulbox/box/server-file';
import type { ServerFile } from '@soulbox/box/server-file';

const readyTimeoutMs = 60_000;
const pollMs = 25;
const shownLogLines = 20;

/** Starts `soulbox up` with these flags as a process of its own and waits until it serves. Its log is DATA/logs/server.log. */
export async function startDetached(dataDirectory: string, flags: readonly string[]): Promise<ServerFile> {
  const directory = join(dataDirectory, 'logs');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const logFile = join(directory, 'server.log');
  const log = await open(logFile, 'a', 0o600);
  const main = join(import.meta.dirname, '../main.ts');
  const child = spawn(process.execPath, [main, 'up', '--data-dir', dataDirectory, ...flags], {
    cwd: '/',
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  });
  const logStart = (await log.stat()).size;
  await log.close();
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
  const tail = await readTail(logFile, logStart);
  throw new SoulBoxError('host_not_ready', `The server did not start (${why}). ${logFile} ends:\n${tail}`);
}

async function isHealthy(server: ServerFile): Promise<boolean> {
  const host = server.host === '0.0.0.0' ? '127.0.0.1' : server.host;
  try {
    const response = await fetch(`http://${host}:${server.port}/health`, { signal: AbortSignal.timeout(1000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function readTail(logFile: string, from: number): Promise<string> {
  const text = (await readFile(logFile)).subarray(from).toString('utf8').trimEnd();
  return text.split('\n').slice(-shownLogLines).join('\n');
}
