// The process that runs JavaScript. Its main thread takes requests and runs code; a second thread does nothing but break off
// what never returns.
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { watchInterrupts } from './interrupts.ts';
import { prepareScope } from './scope.ts';
import { serveRequests } from './serve.ts';

if (isMainThread) {
  const acknowledged = new Int32Array(new SharedArrayBuffer(4));
  prepareScope();
  // Unreferenced: what keeps the process alive is the pipe that requests come from.
  new Worker(process.argv[1] ?? '', { workerData: acknowledged, execArgv: process.execArgv }).unref();
  serveRequests(acknowledged);
} else {
  watchInterrupts(workerData as Int32Array);
}
