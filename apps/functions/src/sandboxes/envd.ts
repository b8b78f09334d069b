import type { Duplex } from 'node:stream';
import { SoulBoxError } from '@soulbox/base';
import { envdPort, headers } from '@soulbox/contract';
import { callPort } from './call-port.ts';

type Dial = (port: number) => Promise<Duplex>;

const timeoutMs = 20_000;
const maxAnswerBytes = 64 * 1024;
const root = `Basic ${Buffer.from('root:').toString('base64')}`;

/** What the room has a fresh sandbox do through its envd, as root: one file, one process. */
export interface SandboxPrograms {
  writeFile(path: string, content: string): Promise<void>;
  start(command: string, args: readonly string[]): Promise<void>;
}

export function createSandboxPrograms(dial: Dial, accessToken: string): SandboxPrograms {
  const own = { [headers.accessToken]: accessToken };
  return {
    async writeFile(path, content) {
      const query = new URLSearchParams({ path, username: 'root' });
      const { status } = await callPort(await dial(envdPort), {
        method: 'POST',
        path: `/files?${query.toString()}`,
        headers: { ...own, 'content-type': 'application/octet-stream' },
        body: content,
        timeoutMs,
        maxAnswerBytes,
      });
      if (status !== 200) throw unexpected('took no file', status);
    },
    async start(command, args) {
      const { status, body } = await callPort(await dial(envdPort), {
        method: 'POST',
        path: '/process.Process/Start',
        headers: {
          ...own,
          authorization: root,
          'content-type': 'application/connect+json',
          'connect-protocol-version': '1',
        },
        body: enveloped({ process: { cmd: command, args, envs: {}, cwd: '/' } }),
        timeoutMs,
        maxAnswerBytes,
        // It goes on by itself when the call is dropped, its output unheard (E2B's rule).
        isEnough: hasStarted,
      });
      if (status !== 200 || !hasStarted(body)) throw unexpected('started nothing', status);
    },
  };
}

/** The first message of the stream says the pid. */
function hasStarted(body: Buffer): boolean {
  return body.includes('"pid"');
}

/** One message of a Connect stream: flags, length, JSON (connectrpc.com/docs/protocol#streaming-request). */
function enveloped(message: object): Buffer {
  const text = Buffer.from(JSON.stringify(message));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(text.length, 1);
  return Buffer.concat([prefix, text]);
}

function unexpected(what: string, status: number): SoulBoxError {
  return new SoulBoxError('sandbox_unreachable', `The envd in the sandbox of the function ${what} (status ${status}).`);
}
