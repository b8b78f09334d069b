import { Session } from 'node:inspector';
import { Socket } from 'node:net';
import { interruptsFd } from './descriptors.ts';

/** A main thread that only waits for something reads its interrupt sooner than this. */
const patienceMs = 50;
/** Code that catches every error can continue several times. */
const attempts = 40;

/** What the two threads tell each other. */
export interface Shared {
  /** The last interrupt that the main thread has read, counted from 1. */
  readonly acknowledged: Int32Array;
  /** 1 while the main thread runs code of the user. */
  readonly running: Int32Array;
}

export function createShared(): Shared {
  return {
    acknowledged: new Int32Array(new SharedArrayBuffer(4)),
    running: new Int32Array(new SharedArrayBuffer(4)),
  };
}

/**
 * Runs in the second thread, which only waits for a byte. The main thread receives each interrupt as a request and
 * sets `acknowledged` when it reads one. Until it does, its code is terminated. An idle main thread must not be
 * terminated: V8 would terminate the code that runs next. Nor one that reports the end of code: that report would be
 * missing.
 */
export function watchInterrupts({ acknowledged, running }: Shared): void {
  let count = 0;
  /** True if the main thread has read this interrupt, or a later one. */
  const isRead = async (): Promise<boolean> => {
    const last = Atomics.load(acknowledged, 0);
    if (last >= count) return true;
    const waiting = Atomics.waitAsync(acknowledged, 0, last, patienceMs);
    await waiting.value;
    return Atomics.load(acknowledged, 0) >= count;
  };
  const interrupt = async (): Promise<void> => {
    count++;
    // Open only while it is needed: Node waits for open sessions before it exits.
    const session = new Session();
    session.connectToMainThread();
    let isTerminating = false;
    let terminatedAt = 0;
    for (let attempt = 0; attempt < attempts && !(await isRead()); attempt++) {
      // One at a time: a main thread that waits in a system call would get all of them afterwards.
      if (isTerminating || performance.now() - terminatedAt < patienceMs || Atomics.load(running, 0) !== 1) continue;
      isTerminating = true;
      session.post('Runtime.terminateExecution', () => {
        isTerminating = false;
        terminatedAt = performance.now();
      });
    }
    session.disconnect();
  };
  let last = Promise.resolve();
  new Socket({ fd: interruptsFd }).on('data', (bytes) => {
    for (const _ of bytes) last = last.then(interrupt);
  });
}
