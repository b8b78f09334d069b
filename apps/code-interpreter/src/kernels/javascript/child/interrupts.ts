import { Session } from 'node:inspector';
import { Socket } from 'node:net';
import { interruptsFd } from './descriptors.ts';

/** The main thread takes its own interrupt sooner when it only waits for something. */
const patienceMs = 50;
/** Code that catches whatever it gets can go on several times. */
const attempts = 40;

/**
 * Runs in the second thread, which has nothing else to do than to wait for a byte. The main thread is told of each interrupt
 * by a request, and counts in `acknowledged` when it reads one; while it does not, its code is terminated. One that is idle must not
 * be: V8 would terminate whatever runs next.
 */
export function watchInterrupts(acknowledged: Int32Array): void {
  let seen = 0;
  new Socket({ fd: interruptsFd }).on('data', (bytes) => {
    // Only while it is needed: Node waits for open sessions before it ends.
    const session = new Session();
    session.connectToMainThread();
    for (const _ of bytes) {
      for (let attempt = 0; attempt < attempts; attempt++) {
        if (Atomics.wait(acknowledged, 0, seen, patienceMs) !== 'timed-out') break;
        session.post('Runtime.terminateExecution');
      }
      seen++;
    }
    session.disconnect();
  });
}
