export { createDrivers } from './drivers.ts';
export { defaultTemplate, startRunnerHost } from './runner-host.ts';
export type { RunnerHost, RunnerSettings } from './runner-host.ts';
export type { RunnerProcessSettings } from './runner-program.ts';
