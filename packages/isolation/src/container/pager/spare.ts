import type { ChildProcess } from 'node:child_process';
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

/** The processes of a pager that has no job yet. They end with the server, unless they get one. */
export class Spare {
  /** Resolves when the guard has ended; never rejects. */
  readonly ended: Promise<void>;
  readonly #guard: ChildProcess;
  readonly #job: Writable;
  readonly #orders: Writable;
  readonly #answers: Readable;

  constructor({ groupDirectories, cacheDirectory }: SpareOptions) {
    const args = [...groupDirectories, '--', process.execPath, workerProgram];
    // A session of its own: the end of the server's session must not end a pager.
    const guard = spawn(guardScript, args, {
      cwd: '/',
      detached: true,
      env: { PATH: searchPath, LC_ALL: 'C', NODE_COMPILE_CACHE: cacheDirectory },
      stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
    });
    this.#guard = guard;
    this.#job = guard.stdin as Writable;
    this.#answers = guard.stdout as Readable;
    this.#orders = guard.stdio[3] as Writable;
    for (const stream of [this.#job, this.#answers, this.#orders]) {
      // A write to a dead process is noticed by its exit.
      stream.on('error', () => undefined);
      // A server without other work can exit, and the spare ends with it.
      if (stream instanceof Socket) stream.unref();
    }
    this.ended = new Promise((resolve) => {
      guard.once('exit', () => resolve());
      guard.once('error', () => resolve());
    });
    guard.unref();
  }

  /** Gives it a job; resolves when CRIU may connect. Throws if it ends before that, or after 10 s. */
  async begin(job: PagerJob): Promise<void> {
    this.#orders.end([job.workDirectory, ...job.killDirectories, ''].join('\n'));
    this.#job.end(JSON.stringify(job));
    const late = sleep(readyTimeoutMs).then(() => 'did not respond within 10 s');
    const early = this.ended.then(() => 'ended before it was ready');
    const ready = once(this.#answers, 'data').then(() => undefined);
    const fault = await Promise.race([ready, early, late]);
    this.#answers.destroy();
    if (fault !== undefined) throw new Error(`The pager ${fault}.`);
  }

  /** Lets it end, because there is no job for it. */
  abandon(): void {
    this.#guard.ref();
    this.#orders.end();
    this.#job.end();
    this.#answers.destroy();
  }

  /** Ends all its processes, which are one process group. Only while no memory depends on it. */
  kill(): void {
    this.abandon();
    if (this.#guard.pid !== undefined && findProcess(this.#guard.pid) !== undefined)
      process.kill(-this.#guard.pid, 'SIGKILL');
  }
}
