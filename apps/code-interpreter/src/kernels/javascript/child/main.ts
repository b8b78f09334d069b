// The process that runs JavaScript. Its main thread reads requests and runs code. A second thread only interrupts code
// that never returns.
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { watchInterrupts } from './interrupts.ts';
import { prepareScope } from './scope.ts';
import { serveRequests } from './serve.ts';

if (isMainThread) {
  const acknowledged = new Int32Array(new SharedArrayBuffer(4));
  prepareScope();
  // Unreferenced: the request pipe keeps the process alive, not the worker.
  new Worker(process.argv[1] ?? '', { workerData: acknowledged, execArgv: process.execArgv }).unref();
  serveRequests(acknowledged);
} else {
  watchInterrupts(workerData as Int32Array);
}
