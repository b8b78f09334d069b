// The process that runs JavaScript. Its main thread reads requests and runs code. A second thread only interrupts code
// that never returns.
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import type { Shared } from './interrupts.ts';
import { createShared, watchInterrupts } from './interrupts.ts';
import { prepareScope } from './scope.ts';
import { serveRequests } from './serve.ts';

if (isMainThread) {
  const shared = createShared();
  prepareScope();
  // Unreferenced: the request pipe keeps the process alive, not the worker.
  new Worker(process.argv[1] ?? '', { workerData: shared, execArgv: process.execArgv }).unref();
  serveRequests(shared);
} else {
  watchInterrupts(workerData as Shared);
}
