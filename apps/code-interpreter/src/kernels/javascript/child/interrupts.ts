import { Session } from 'node:inspector';
import { Socket } from 'node:net';
import { interruptsFd } from './descriptors.ts';

/** A main thread that only waits for something reads its interrupt sooner than this. */
const patienceMs = 50;
/** Code that catches every error can continue several times. */
const attempts = 40;

/**
 * Runs in the second thread, which only waits for a byte. The main thread receives each interrupt as a request and
 * increments `acknowledged` when it reads one. Until it does, its code is terminated. An idle main thread must not be
 * terminated: V8 would terminate the code that runs next.
 */
export function watchInterrupts(acknowledged: Int32Array): void {
  let seen = 0;
  new Socket({ fd: interruptsFd }).on('data', (bytes) => {
    // Open only while it is needed: Node waits for open sessions before it exits.
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
