export { createDrivers } from './drivers.ts';
export { checkpointKeys } from '../processes/checkpoint-keys.ts';
export { runnerContentFolders } from './content-folders.ts';
export { encryptFolders } from './encrypt-folders.ts';
export type { EncryptedFolders } from './encrypt-folders.ts';
export { openRunnerKeys } from './open-keys.ts';
export { defaultTemplate, startRunnerHost } from './runner-host.ts';
export type { RunnerHost, RunnerSettings } from './runner-host.ts';
export type { RunnerProcessSettings } from './runner-program.ts';
