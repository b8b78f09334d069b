import { createProcessCalls } from './process-calls.ts';
import type { Program, ProgramEnd, ProgramOutput, TerminalSize } from './program.ts';
import { runProgram, startDetached } from './run-program.ts';
import { upload } from './upload.ts';
import type { UploadOptions } from './upload.ts';
import { openWay } from './way.ts';
import type { EnvdTarget, TransportLimits } from './way.ts';

/** Runs programs in one sandbox. Its envd is hostile: its answers are limited in size. */
export interface Programs {
  /**
   * Resolves when the program has ended and its output is read. `onOutput` is awaited, so a slow consumer slows the
   * program down.
   */
  run(program: Program, onOutput?: ProgramOutput): Promise<ProgramEnd>;
  /** Resolves with the pid when the program has started. It continues by itself, and its output is not read. */
  startDetached(program: Omit<Program, 'stdin' | 'signal' | 'onStart'>): Promise<number>;
  /**
   * Writes to the standard input of a program that was started with `open`, and waits until envd has accepted the
   * input.
   */
  sendInput(pid: number, bytes: Uint8Array, signal?: AbortSignal, to?: 'stdin' | 'pty'): Promise<void>;
  /** Changes the size of the terminal of a program. */
  resize(pid: number, size: TerminalSize, signal?: AbortSignal): Promise<void>;
  closeInput(pid: number, signal?: AbortSignal): Promise<void>;
  /**
   * Writes a file through envd, which creates missing parent folders. Throws `disk_full` and `bad_request` as envd
   * reports them.
   */
  upload(path: string, content: AsyncIterable<Uint8Array> | Uint8Array, options?: UploadOptions): Promise<void>;
  /** Closes every connection: calls in progress fail, programs continue. */
  close(): void;
}

/** `accessToken` is the token that the sandbox's envd requires from its tenant. Empty if it requires none. */
export function createPrograms(
  target: EnvdTarget,
  accessToken: string,
  format: NonNullable<TransportLimits['format']> = 'binary',
): Programs {
  const way = openWay(target);
  const calls = createProcessCalls(way, accessToken, format);
  return {
    run: async (program, onOutput) => await runProgram(calls, program, onOutput),
    startDetached: async (program) => await startDetached(calls, program),
    sendInput: async (pid, bytes, signal, to) => await calls.sendInput(pid, bytes, signal, to),
    resize: async (pid, size, signal) => await calls.resize(pid, size, signal),
    closeInput: async (pid, signal) => await calls.closeInput(pid, signal),
    upload: async (path, content, options = {}) => await upload(way, accessToken, { path, content }, options),
    close: () => way.close(),
  };
}
