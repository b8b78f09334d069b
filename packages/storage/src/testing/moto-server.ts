import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';

const program = '/usr/bin/moto_server';

/** Whether the Debian packages python3-moto and python3-flask-cors are installed. */
export const hasMoto = existsSync(program) && existsSync('/usr/lib/python3/dist-packages/flask_cors');

const startMs = 60_000;

/** Starts an S3 server in memory and returns its URL. It accepts all credentials. */
export async function startMoto(): Promise<{ readonly url: string } & AsyncDisposable> {
  const child = spawn('/usr/bin/python3', [program, '-H', '127.0.0.1', '-p', '0'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  const timer = setTimeout(() => void stop(), startMs);
  for await (const line of createInterface({ input: child.stderr })) {
    const url = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
    if (url === undefined) continue;
    clearTimeout(timer);
    child.stderr.resume();
    return { url, [Symbol.asyncDispose]: stop };
  }
  clearTimeout(timer);
  throw new Error('moto_server did not start.');
}
