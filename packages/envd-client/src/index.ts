export { createEnvdClient } from './envd-client.ts';
export type {
  EnvdAuthority,
  EnvdClient,
  EnvdInit,
  EnvdCustomSource,
  EnvdLogEntry,
  EnvdResumed,
} from './envd-client.ts';
export { errorFromEnvd } from './error-from-envd.ts';
export { createFiles } from './files.ts';
export type { Files, SandboxFile } from './files.ts';
export { startPiped } from './piped-program.ts';
export type { PipedCommand, PipedOutput, PipedProgram } from './piped-program.ts';
export { printable } from './printable.ts';
export { createPrograms } from './programs.ts';
export type { Programs } from './programs.ts';
export type { Program, ProgramEnd, ProgramOutput, TerminalSize } from './program.ts';
export type { UploadOptions } from './upload.ts';
export type { EnvdTarget } from './way.ts';
