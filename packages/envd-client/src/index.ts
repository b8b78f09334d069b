export { createEnvdClient } from './envd-client.ts';
export type { EnvdClient, EnvdInit, EnvdLogEntry, EnvdResumed } from './envd-client.ts';
export { errorFromEnvd } from './error-from-envd.ts';
export { createFiles } from './files.ts';
export type { Files, SandboxFile } from './files.ts';
export { printable } from './printable.ts';
export { createPrograms } from './programs.ts';
export type { Program, ProgramEnd, ProgramOutput, Programs, UploadOptions } from './programs.ts';
export type { Dial, EnvdTarget } from './way.ts';
