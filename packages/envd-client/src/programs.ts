import { createClient } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { Process, Signal } from '@soulbox/contract/process';
import { callEnvd } from './call-envd.ts';
import { printable } from './printable.ts';
import { tenantHeaders } from './tenant-headers.ts';
import { createWayTransport, openWay } from './way.ts';
import type { EnvdTarget, TransportLimits } from './way.ts';

/** A program to run in the sandbox, as an argument array. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to envd's global variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Absent: the user's default folder. */
  readonly cwd?: string;
  /** Absent: envd's default user. Throws `unauthenticated` if there is no user of that name. */
  readonly user?: string;
  /** After this time envd kills the program and `run` throws `deadline_exceeded`. Absent: no limit. */
  readonly timeoutMs?: number;
  /**
   * Sent completely, then standard input is closed. `open`: the caller feeds the program by its pid. Absent: /dev/null.
   */
  readonly stdin?: Uint8Array | 'open';
  /** Kills the program when aborted. */
  readonly signal?: AbortSignal;
  /** Called with the pid after the program has started. */
  readonly onStart?: (pid: number) => void | Promise<void>;
}

export interface ProgramEnd {
  /** -1 if a signal ended it. */
  readonly exitCode: number;
  /** envd's text, such as `exit status 1` or `signal: killed`. */
  readonly status: string;
}

export type ProgramOutput = (channel: 'stdout' | 'stderr', bytes: Uint8Array) => void | Promise<void>;

/** Runs programs in one sandbox. Its envd is hostile: no message from it may exceed `maxMessageBytes`. */
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
  sendInput(pid: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  closeInput(pid: number, signal?: AbortSignal): Promise<void>;
  /**
   * Writes a file through envd, which creates missing parent folders. Throws `disk_full` and `bad_request` as envd
   * reports them.
   */
  upload(path: string, content: AsyncIterable<Uint8Array> | Uint8Array, options?: UploadOptions): Promise<void>;
  /** Closes every connection: calls in progress fail, programs continue. */
  close(): void;
}

export interface UploadOptions {
  /** Absent: envd's default user. */
  readonly user?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** How long envd may take to start a program on a host under heavy load. */
const startWaitMs = 30_000;
/** envd sends output in pieces of 32 KiB. */
const maxMessageBytes = 1024 * 1024;
/** How long a killed program may take to end. After that its envd is not awaited any longer. */
const endWaitMs = 10_000;
/** How long a program may take to read a piece of its input. */
const inputWaitMs = 300_000;
/** The size of one message of input. envd reads a message as a whole. */
const inputStepBytes = 64 * 1024;
/** The answer to an upload names one file. */
const maxAnswerBytes = 64 * 1024;

/** `accessToken` is the token that the sandbox's envd requires from its tenant. Empty if it requires none. */
export function createPrograms(
  target: EnvdTarget,
  accessToken: string,
  format: NonNullable<TransportLimits['format']> = 'binary',
): Programs {
  const way = openWay(target);
  const client = createClient(Process, createWayTransport(way, { maxMessageBytes, format }));
  const headersFor = (user?: string): Record<string, string> => ({
    ...way.headers,
    ...tenantHeaders(accessToken, user),
  });
  const start = (program: Program, signal: AbortSignal | undefined) => {
    const { command, args, env = {}, cwd, timeoutMs, user, stdin } = program;
    const config = { cmd: command, args: [...args], envs: { ...env }, ...(cwd === undefined ? {} : { cwd }) };
    return client.start(
      { process: config, stdin: stdin !== undefined },
      {
        headers: headersFor(user),
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      },
    );
  };
  const byPid = (pid: number) => ({ selector: { case: 'pid' as const, value: pid } });

  const sendInput = async (pid: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void> => {
    for (let at = 0; at < bytes.length; at += inputStepBytes) {
      const piece = bytes.subarray(at, at + inputStepBytes);
      await client.sendInput(
        { process: byPid(pid), input: { input: { case: 'stdin', value: piece } } },
        inputOptions(signal),
      );
    }
  };
  const closeInput = async (pid: number, signal?: AbortSignal): Promise<void> => {
    await client.closeStdin({ process: byPid(pid) }, inputOptions(signal));
  };
  const inputOptions = (signal: AbortSignal | undefined) => ({
    headers: headersFor(),
    timeoutMs: inputWaitMs,
    ...(signal === undefined ? {} : { signal }),
  });
  const feed = async (pid: number, stdin: Uint8Array, signal: AbortSignal): Promise<void> => {
    await sendInput(pid, stdin, signal);
    await closeInput(pid, signal);
  };

  return {
    async run(program, onOutput) {
      const { signal, stdin, onStart } = program;
      let pid = 0;
      let hasBegun = false;
      let feeding: Promise<unknown> | undefined;
      const connection = new AbortController();
      const starting = setTimeout(() => connection.abort(), startWaitMs);
      let givingUp: NodeJS.Timeout | undefined;
      const kill = (): void => {
        givingUp ??= setTimeout(() => connection.abort(), endWaitMs);
        // A dropped connection leaves the program running (E2B's rule), so the kill needs a request of its own.
        const request = { process: byPid(pid), signal: Signal.SIGKILL };
        client.sendSignal(request, { headers: headersFor(), timeoutMs: endWaitMs }).catch(() => undefined);
      };
      try {
        for await (const { event } of start(program, connection.signal)) {
          const message = event?.event;
          if (message?.case === 'start') {
            if (hasBegun)
              throw new SoulBoxError(
                'sandbox_unreachable',
                'The envd of the sandbox reported the start of a program twice.',
              );
            hasBegun = true;
            clearTimeout(starting);
            pid = message.value.pid;
            if (signal?.aborted === true) kill();
            signal?.addEventListener('abort', kill);
            // Programs may end without reading their input, so an error here is ignored.
            if (stdin !== undefined && stdin !== 'open')
              feeding = feed(pid, stdin, connection.signal).catch(() => undefined);
            await onStart?.(pid);
          } else if (message?.case === 'data') {
            const { case: channel, value } = message.value.output;
            if (channel === 'stdout' || channel === 'stderr') await onOutput?.(channel, value);
          } else if (message?.case === 'end') {
            return { exitCode: message.value.exitCode, status: message.value.status };
          }
        }
      } finally {
        clearTimeout(starting);
        clearTimeout(givingUp);
        connection.abort();
        signal?.removeEventListener('abort', kill);
        await feeding;
      }
      throw new SoulBoxError('sandbox_unreachable', 'The envd of the sandbox did not report how a program ended.');
    },

    async startDetached(program) {
      const connection = new AbortController();
      const starting = setTimeout(() => connection.abort(), startWaitMs);
      try {
        for await (const { event } of start(program, connection.signal)) {
          if (event?.event.case === 'start') return event.event.value.pid;
        }
      } finally {
        clearTimeout(starting);
        connection.abort();
      }
      throw new SoulBoxError('sandbox_unreachable', 'The envd of the sandbox did not report the start of a program.');
    },

    sendInput,
    closeInput,

    async upload(path, content, { user, ...limits } = {}) {
      const query = new URLSearchParams({ path, ...(user === undefined ? {} : { username: user }) });
      const { status, body } = await callEnvd(way, {
        method: 'POST',
        path: `/files?${query.toString()}`,
        headers: { ...tenantHeaders(accessToken), 'content-type': 'application/octet-stream' },
        body: content,
        ...limits,
        maxAnswerBytes,
      });
      if (status === 200) return;
      if (status === 507) throw new SoulBoxError('disk_full', 'The disk of the sandbox is full.');
      const words = printable(body.toString('utf8').slice(0, 200));
      throw new SoulBoxError('bad_request', `The file could not be written: ${words}`);
    },

    close() {
      way.close();
    },
  };
}
