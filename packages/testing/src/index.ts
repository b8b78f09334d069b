export {
  makeTestDirectory,
  nodeProgram,
  startServer,
  testDirectory,
  testTemplatesDirectory,
} from './server-process.ts';
export type { ServerOptions, ServerProcess } from './server-process.ts';
export { findServerPart, listServerParts, serverDescriptors, serverMemoryMib } from './server-parts.ts';
export type { ServerPart } from './server-parts.ts';
export { findFreePort } from './find-free-port.ts';
export { isThere } from './is-there.ts';
export { listHostTraces } from './host-traces.ts';
export { startRunnerProcess } from './runner-process.ts';
export type { RunnerEvent, RunnerProcess } from './runner-process.ts';
