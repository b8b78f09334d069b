import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcess } from '@soulbox/base';
import type { PagerJob } from './job.ts';

const guardScript = fileURLToPath(new URL('guard.sh', import.meta.url));
const workerProgram = fileURLToPath(new URL('main.ts', import.meta.url));
const searchPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** Node starts in a tenth of a second; on a machine that starts fifty sandboxes at once it may take much longer. */
const readyTimeoutMs = 10_000;

export interface SpareOptions {
  /**
   * The folders of a control group for the pagers, one per tree; created if missing. It is neither the sandboxes' group
   * nor the server's.
   */
  readonly groupDirectories: readonly string[];
  /** A folder that only root can write, for V8's compiled code: it halves the CPU time of a start. */
  readonly cacheDirectory: string;
}

export interface Spare {
  /** Resolves when the guard has ended; never rejects. */
  readonly ended: Promise<void>;
  /** Gives it a job; resolves when CRIU may connect. Throws if it ends before that, or after 10 s. */
  begin(job: PagerJob): Promise<void>;
  /** Lets it end, because there is no job for it. */
  abandon(): void;
  /** Ends all its processes, which are one process group. Only while no memory depends on it. */
  kill(): void;
}

/** The processes of a pager that has no job yet. They end with the server, unless they get one. */
export function createSpare({ groupDirectories, cacheDirectory }: SpareOptions): Spare {
  const args = [...groupDirectories, '--', process.execPath, workerProgram];
  // A session of its own: the end of the server's session must not end a pager.
  const guard = spawn(guardScript, args, {
    cwd: '/',
    detached: true,
    env: { PATH: searchPath, LC_ALL: 'C', NODE_COMPILE_CACHE: cacheDirectory },
    stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
  });
  const jobInput = guard.stdin as Writable;
  const answers = guard.stdout as Readable;
  const orders = guard.stdio[3] as Writable;
  for (const stream of [jobInput, answers, orders]) {
    // A write to a dead process is noticed by its exit.
    stream.on('error', () => undefined);
    // A server without other work can exit, and the spare ends with it.
    if (stream instanceof Socket) stream.unref();
  }
  const ended = new Promise<void>((resolve) => {
    guard.once('exit', () => resolve());
    guard.once('error', () => resolve());
  });
  guard.unref();

  const abandon = (): void => {
    guard.ref();
    orders.end();
    jobInput.end();
    answers.destroy();
  };

  return {
    ended,
    async begin(job) {
      orders.end([job.workDirectory, ...job.killDirectories, ''].join('\n'));
      jobInput.end(JSON.stringify(job));
      const late = sleep(readyTimeoutMs).then(() => 'did not respond within 10 s');
      const early = ended.then(() => 'ended before it was ready');
      const ready = once(answers, 'data').then(() => undefined);
      const fault = await Promise.race([ready, early, late]);
      answers.destroy();
      if (fault !== undefined) throw new Error(`The pager ${fault}.`);
    },
    abandon,
    kill() {
      abandon();
      if (guard.pid !== undefined && findProcess(guard.pid) !== undefined) process.kill(-guard.pid, 'SIGKILL');
    },
  };
}
