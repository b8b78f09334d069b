import { request } from 'node:http';
import type { Socket } from 'node:net';
import { z } from 'zod';
import { boundInterimAnswers, createByteCollector, SoulBoxError } from '@soulbox/base';
import type { Secret } from '@soulbox/base';
import { envdPort, headers } from '@soulbox/contract';

/** Opens a connection to a port inside the sandbox. */
export type Dial = (port: number) => Promise<Socket>;

/** What a sandbox is told when a tenant gets it: the body of envd's `POST /init` (E2B's names). */
export interface EnvdInit {
  readonly envVars: Readonly<Record<string, string>>;
  readonly accessToken?: string;
  /** RFC 3339. */
  readonly timestamp: string;
  readonly defaultUser?: string;
  readonly defaultWorkdir?: string;
  /** The disk is one that an earlier life of the sandbox has used: envd first removes what a reboot clears. */
  readonly freshStart?: boolean;
}

/** What a sandbox is told when its saved memory runs again: the body of envd's `POST /resumed`. */
export interface EnvdResumed {
  readonly sandboxId: string;
  /** Of `SandboxSpec`: letters, digits, dots, dashes and underscores, 128 at most. */
  readonly generation: string;
  /** RFC 3339. */
  readonly timestamp: string;
  /** False when the sandbox itself goes on where it was paused. */
  readonly isCopy: boolean;
  // Each replaces what it names when it is given, and keeps it when it is not. An empty text unsets.
  readonly envVars?: Readonly<Record<string, string>>;
  readonly accessToken?: string;
  readonly defaultUser?: string;
  readonly defaultWorkdir?: string;
}

const logsSchema = z.object({
  entries: z.array(
    z.object({
      seq: z.number().int(),
      timestamp: z.string().max(64),
      level: z.enum(['debug', 'info', 'warn', 'error']).catch('info'),
      logger: z.string().max(256),
      message: z.string().max(16_384),
      fields: z.record(z.string(), z.string()),
    }),
  ),
});

export type EnvdLogEntry = z.infer<typeof logsSchema>['entries'][number];

/** envd answers from memory; what takes longer is a sandbox that does not answer. */
const answerTimeoutMs = 10_000;
/** envd is hostile: an answer above this is cut off. */
const maxAnswerBytes = 4 * 1024 * 1024;

/** The runner's own calls to a sandbox's envd. Each uses a connection of its own, so that a kill leaves none behind. */
export interface EnvdClient {
  /** True when envd answers. Never throws. */
  isHealthy(): Promise<boolean>;
  init(init: EnvdInit): Promise<void>;
  /**
   * Resolves when envd has made what is its own new and the sandbox's hooks have run, which may take 5 s. Safe to repeat.
   * Throws `sandbox_unreachable`: whoever serves a copy after that serves its source's secrets.
   */
  resumed(resumed: EnvdResumed): Promise<void>;
  /** Makes a Connect call that answers with a stream, and waits for its end; envd cuts it off after `timeoutMs`. */
  stream(path: string, message: object, timeoutMs: number): Promise<void>;
  /** Log entries after `seq`; bounded, oldest first. */
  logs(after: number): Promise<EnvdLogEntry[]>;
  /** Cuts every call that is under way. */
  close(): void;
}

export function createEnvdClient(dialOut: Dial, hostToken: Secret): EnvdClient {
  boundInterimAnswers();
  const open = new Set<Socket>();
  const dial: Dial = async (port) => {
    const socket = await dialOut(port);
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    return socket;
  };
  const call = async (method: string, path: string, body?: object): Promise<Answer> =>
    await callEnvd(dial, method, path, body === undefined ? undefined : Buffer.from(JSON.stringify(body)), {
      [headers.hostToken]: hostToken.reveal(),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    });
  return {
    async isHealthy() {
      try {
        return (await call('GET', '/health')).status === 204;
      } catch {
        return false;
      }
    },
    async init(init) {
      const { status } = await call('POST', '/init', init);
      if (status !== 204) {
        throw new SoulBoxError(
          'sandbox_unreachable',
          `The envd of the sandbox rejected its settings (status ${status}).`,
        );
      }
    },
    async resumed(resumed) {
      const { status } = await call('POST', '/resumed', resumed);
      if (status !== 204) {
        throw new SoulBoxError(
          'sandbox_unreachable',
          `The envd of the sandbox did not confirm the resume (status ${status}).`,
        );
      }
    },
    async stream(path, message, timeoutMs) {
      await callEnvd(dial, 'POST', path, envelopeOf(message), {
        'content-type': 'application/connect+json',
        'connect-protocol-version': '1',
        'connect-timeout-ms': String(timeoutMs),
      });
    },
    async logs(after) {
      const { status, text } = await call('GET', `/soulbox/logs?after=${after}`);
      if (status !== 200) return [];
      return logsSchema.safeParse(parseJson(text)).data?.entries ?? [];
    },
    close() {
      for (const socket of open) socket.destroy(new Error('the sandbox is not served any more'));
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One message of a Connect stream: flags, length, JSON (connectrpc.com/docs/protocol#streaming-request). */
function envelopeOf(message: object): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(text.length, 1);
  return Buffer.concat([prefix, text]);
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function callEnvd(
  dial: Dial,
  method: string,
  path: string,
  payload: Buffer | undefined,
  requestHeaders: Record<string, string>,
): Promise<Answer> {
  const socket = await dial(envdPort);
  return await new Promise((resolve, reject) => {
    const fail = (cause: unknown): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new SoulBoxError('sandbox_unreachable', 'The envd of the sandbox did not respond.', { cause }));
    };
    const timer = setTimeout(() => {
      fail(new Error('timed out'));
    }, answerTimeoutMs);
    const outgoing = request({
      createConnection: () => socket,
      method,
      path,
      headers: {
        ...requestHeaders,
        host: 'envd',
        connection: 'close',
        ...(payload === undefined ? {} : { 'content-length': payload.length }),
      },
    });
    outgoing.on('error', fail);
    outgoing.on('response', (response) => {
      const answer = createByteCollector(maxAnswerBytes);
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => {
        if (!socket.destroyed && !answer.add(chunk)) fail(new Error('the answer is too large'));
      });
      response.on('end', () => {
        clearTimeout(timer);
        socket.destroy();
        resolve({ status: response.statusCode ?? 0, text: answer.bytes().toString('utf8') });
      });
    });
    outgoing.end(payload);
  });
}
