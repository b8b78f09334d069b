import { Agent, request as httpRequest } from 'node:http';
import type { AgentOptions } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { boundInterimAnswers, SoulBoxError } from '@soulbox/base';
import { envdPort } from '@soulbox/contract';
import { Process, Signal } from '@soulbox/contract/process';
import type { Dial } from './envd-client.ts';
import { tenantHeaders } from './tenant-headers.ts';

/** What the runner has a sandbox run, as an argument array. */
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

/** Runs programs of the runner's own in one sandbox. Its envd is hostile: nothing it answers is larger than `maxMessageBytes`. */
export interface Programs {
  /** Resolves when it has ended and its output is read. `onOutput` is waited for, so that a slow taker slows it down. */
  run(program: Program, onOutput?: ProgramOutput): Promise<ProgramEnd>;
  /** Resolves with its pid when it has begun. It goes on by itself, its output unheard. */
  startDetached(program: Omit<Program, 'stdin' | 'signal' | 'onStart'>): Promise<number>;
  /** Writes a file through envd, as the user. Throws `disk_full` and `bad_request` as envd says. */
  upload(path: string, user: string, content: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void>;
  /** Cuts every connection: calls under way fail, programs go on. */
  close(): void;
}

/** envd sends output in pieces of 32 KiB. */
const maxMessageBytes = 1024 * 1024;
/** How long a program that was killed may take to end; then nobody waits for its envd to say so. */
const endWaitMs = 10_000;
/** An upload's answer names one file. */
const maxAnswerBytes = 64 * 1024;

/** `accessToken` is what the sandbox's envd demands of its tenant; empty when it demands none. */
export function createPrograms(dial: Dial, accessToken: string): Programs {
  const open = new Set<Socket>();
  const agent = createAgent(async (port) => {
    const socket = await dial(port);
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    return socket;
  });
  const client = createClient(
    Process,
    createConnectTransport({
      baseUrl: 'http://envd',
      httpVersion: '1.1',
      useBinaryFormat: true,
      readMaxBytes: maxMessageBytes,
      nodeOptions: { agent },
    }),
  );
  const headersFor = (user: string | undefined): Record<string, string> => tenantHeaders(accessToken, user);
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

  async function feed(pid: number, stdin: Uint8Array): Promise<void> {
    const step = 64 * 1024;
    for (let at = 0; at < stdin.length; at += step) {
      const piece = stdin.subarray(at, at + step);
      await client.sendInput(
        { process: byPid(pid), input: { input: { case: 'stdin', value: piece } } },
        { headers: headersFor(undefined) },
      );
    }
    await client.closeStdin({ process: byPid(pid) }, { headers: headersFor(undefined) });
  }

  return {
    async run(program, onOutput) {
      const { signal, stdin, onStart } = program;
      let pid = 0;
      let hasBegun = false;
      let feeding: Promise<unknown> | undefined;
      const connection = new AbortController();
      let givingUp: NodeJS.Timeout | undefined;
      const kill = (): void => {
        givingUp ??= setTimeout(() => connection.abort(), endWaitMs);
        // A dropped connection leaves the program running (E2B's rule), so it is told.
        const request = { process: byPid(pid), signal: Signal.SIGKILL };
        client.sendSignal(request, { headers: headersFor(undefined) }).catch(() => undefined);
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
            pid = message.value.pid;
            if (signal?.aborted === true) kill();
            signal?.addEventListener('abort', kill);
            // Programs may end without reading what they are given.
            if (stdin !== undefined && stdin !== 'open') feeding = feed(pid, stdin).catch(() => undefined);
            await onStart?.(pid);
          } else if (message?.case === 'data') {
            const { case: channel, value } = message.value.output;
            if (channel === 'stdout' || channel === 'stderr') await onOutput?.(channel, value);
          } else if (message?.case === 'end') {
            return { exitCode: message.value.exitCode, status: message.value.status };
          }
        }
      } finally {
        clearTimeout(givingUp);
        connection.abort();
        signal?.removeEventListener('abort', kill);
        await feeding;
      }
      throw new SoulBoxError('sandbox_unreachable', 'The envd of the sandbox did not report how a program ended.');
    },

    async startDetached(program) {
      const connection = new AbortController();
      try {
        for await (const { event } of start(program, connection.signal)) {
          if (event?.event.case === 'start') return event.event.value.pid;
        }
      } finally {
        connection.abort();
      }
      throw new SoulBoxError('sandbox_unreachable', 'The envd of the sandbox did not report the start of a program.');
    },

    async upload(path, user, content, signal) {
      const query = new URLSearchParams({ path, username: user });
      const outgoing = httpRequest({
        agent,
        host: 'envd',
        method: 'POST',
        path: `/files?${query.toString()}`,
        headers: { ...headersFor(undefined), 'content-type': 'application/octet-stream' },
        ...(signal === undefined ? {} : { signal }),
      });
      const answered = new Promise<{ status: number; text: string }>((resolve, reject) => {
        outgoing.on('error', reject);
        outgoing.on('response', (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('error', reject);
          response.on('data', (piece: string) => {
            text += piece;
            if (text.length > maxAnswerBytes) response.destroy(new Error('the answer is too large'));
          });
          response.on('end', () => {
            resolve({ status: response.statusCode ?? 0, text });
          });
        });
      });
      const [{ status, text }] = await Promise.all([answered, pipeline(content, outgoing)]);
      if (status === 200) return;
      if (status === 507) throw new SoulBoxError('disk_full', 'The disk of the sandbox is full.');
      throw new SoulBoxError('bad_request', `The file could not be written: ${text.slice(0, 200)}`);
    },

    close() {
      for (const socket of open) socket.destroy(new Error('the sandbox is not served any more'));
    },
  };
}

/** Opens each connection inside the sandbox; keeps none. */
export function createAgent(dial: Dial): Agent {
  boundInterimAnswers();
  class SandboxAgent extends Agent {
    override createConnection(
      _options: AgentOptions,
      callback?: (error: Error | null, stream: Duplex) => void,
    ): undefined {
      dial(envdPort).then(
        (socket) => callback?.(null, socket),
        (error: unknown) => callback?.(error as Error, undefined as unknown as Duplex),
      );
      return undefined;
    }
  }
  return new SandboxAgent({ keepAlive: false });
}
