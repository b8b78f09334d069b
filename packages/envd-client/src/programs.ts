import { createClient } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { Process, Signal } from '@soulbox/contract/process';
import { callEnvd } from './call-envd.ts';
import { printable } from './printable.ts';
import { tenantHeaders } from './tenant-headers.ts';
import { createWayTransport, openWay } from './way.ts';
import type { EnvdTarget, TransportLimits } from './way.ts';

/** What a sandbox is to run, as an argument array. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to envd's global variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** Absent: the user's default folder. */
  readonly cwd?: string;
  /** Absent: envd's default user. Throws `unauthenticated` when there is none of that name. */
  readonly user?: string;
  /** envd kills it then, and `run` throws `deadline_exceeded`. Absent: never. */
  readonly timeoutMs?: number;
  /** Given to it whole, then its standard input is closed. `open`: whoever learns its pid feeds it. Absent: /dev/null. */
  readonly stdin?: Uint8Array | 'open';
  /** Aborted: it is killed. */
  readonly signal?: AbortSignal;
  /** Told its pid when it has begun. */
  readonly onStart?: (pid: number) => void | Promise<void>;
}

export interface ProgramEnd {
  /** -1 when a signal ended it. */
  readonly exitCode: number;
  /** envd's words, such as `exit status 1` or `signal: killed`. */
  readonly status: string;
}

export type ProgramOutput = (channel: 'stdout' | 'stderr', bytes: Uint8Array) => void | Promise<void>;

/** Runs programs in one sandbox. Its envd is hostile: nothing it answers is larger than `maxMessageBytes`. */
export interface Programs {
  /** Resolves when it has ended and its output is read. `onOutput` is waited for, so that a slow taker slows it down. */
  run(program: Program, onOutput?: ProgramOutput): Promise<ProgramEnd>;
  /** Resolves with its pid when it has begun. It goes on by itself, its output unheard. */
  startDetached(program: Omit<Program, 'stdin' | 'signal' | 'onStart'>): Promise<number>;
  /** Writes to the standard input of a program that was begun with `open`, and waits until it is taken. */
  sendInput(pid: number, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  closeInput(pid: number, signal?: AbortSignal): Promise<void>;
  /** Writes a file through envd; folders above it are made. Throws `disk_full` and `bad_request` as envd says. */
  upload(path: string, content: AsyncIterable<Uint8Array> | Uint8Array, options?: UploadOptions): Promise<void>;
  /** Cuts every connection: calls under way fail, programs go on. */
  close(): void;
}

export interface UploadOptions {
  /** Absent: envd's default user. */
  readonly user?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** How long envd may take to begin a program, on a host under heavy load. */
const startWaitMs = 30_000;
/** envd sends output in pieces of 32 KiB. */
const maxMessageBytes = 1024 * 1024;
/** How long a program that was killed may take to end; then nobody waits for its envd to say so. */
const endWaitMs = 10_000;
/** How long a program may take to read a piece of its input. */
const inputWaitMs = 300_000;
/** Of one message of input, which envd reads whole. */
const inputStepBytes = 64 * 1024;
/** An upload's answer names one file. */
const maxAnswerBytes = 64 * 1024;

/** `accessToken` is what the sandbox's envd demands of its tenant; empty when it demands none. */
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
        // A dropped connection leaves the program running (E2B's rule), so it is told.
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
            // Programs may end without reading what they are given.
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
