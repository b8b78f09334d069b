import { createClient } from '@connectrpc/connect';
import { headers } from '@soulbox/contract';
import { Process, Signal } from '@soulbox/contract/process';
import type { StartResponse } from '@soulbox/contract/process';
import type { Program, TerminalSize } from './program.ts';
import { tenantHeaders } from './tenant-headers.ts';
import { createWayTransport } from './way.ts';
import type { TransportLimits, Way } from './way.ts';

/** The calls to envd's process service in the name of the tenant. */
export interface ProcessCalls {
  /**
   * Starts a program and returns its events. Its log stays in memory: the caller reads the output, and the disk may become
   * a layer of a template. An abort drops the connection, and the program continues (E2B's rule).
   */
  start(program: Program, signal: AbortSignal): AsyncIterable<StartResponse>;
  sendInput(pid: number, bytes: Uint8Array, signal?: AbortSignal, to?: 'stdin' | 'pty'): Promise<void>;
  resize(pid: number, size: TerminalSize, signal?: AbortSignal): Promise<void>;
  closeInput(pid: number, signal?: AbortSignal): Promise<void>;
  kill(pid: number, timeoutMs: number): Promise<void>;
}

/** envd sends output in pieces of 32 KiB. */
const maxMessageBytes = 1024 * 1024;
/** How long a program may take to read a piece of its input. */
const inputWaitMs = 300_000;
/** The size of one message of input. envd reads a message as a whole. */
const inputStepBytes = 64 * 1024;

export function createProcessCalls(
  way: Way,
  accessToken: string,
  format: NonNullable<TransportLimits['format']>,
): ProcessCalls {
  const client = createClient(Process, createWayTransport(way, { maxMessageBytes, format }));
  const headersFor = (user?: string): Record<string, string> => ({
    ...way.headers,
    ...tenantHeaders(accessToken, user),
  });
  const inputOptions = (signal: AbortSignal | undefined) => ({
    headers: headersFor(),
    timeoutMs: inputWaitMs,
    ...(signal === undefined ? {} : { signal }),
  });
  return {
    start({ command, args, env = {}, cwd, timeoutMs, user, stdin, terminal }, signal) {
      const config = { cmd: command, args: [...args], envs: { ...env }, ...(cwd === undefined ? {} : { cwd }) };
      return client.start(
        {
          process: config,
          stdin: stdin !== undefined,
          ...(terminal === undefined ? {} : { pty: ptyOf(terminal) }),
        },
        {
          headers: { ...headersFor(user), [headers.processLog]: 'memory' },
          signal,
          ...(timeoutMs === undefined ? {} : { timeoutMs }),
        },
      );
    },
    async sendInput(pid, bytes, signal, to = 'stdin') {
      for (let at = 0; at < bytes.length; at += inputStepBytes) {
        const piece = bytes.subarray(at, at + inputStepBytes);
        const input = { input: { case: to, value: piece } };
        await client.sendInput({ process: byPid(pid), input }, inputOptions(signal));
      }
    },
    async resize(pid, size, signal) {
      await client.update({ process: byPid(pid), pty: ptyOf(size) }, inputOptions(signal));
    },
    async closeInput(pid, signal) {
      await client.closeStdin({ process: byPid(pid) }, inputOptions(signal));
    },
    async kill(pid, timeoutMs) {
      const request = { process: byPid(pid), signal: Signal.SIGKILL };
      await client.sendSignal(request, { headers: headersFor(), timeoutMs });
    },
  };
}

const ptyOf = ({ columns: cols, rows }: TerminalSize) => ({ size: { cols, rows } });

function byPid(pid: number) {
  return { selector: { case: 'pid' as const, value: pid } };
}
