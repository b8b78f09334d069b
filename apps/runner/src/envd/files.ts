import { request as httpRequest } from 'node:http';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { createByteCollector, SoulBoxError } from '@soulbox/base';
import { FileType, Filesystem } from '@soulbox/contract/filesystem';
import type { Dial } from './envd-client.ts';
import { errorFromEnvd } from './error-from-envd.ts';
import { createAgent } from './programs.ts';
import { tenantHeaders } from './tenant-headers.ts';

/** Looks at the files of one sandbox, as one of its users. Its envd is hostile: answers are bounded, and only ever used inside. */
export interface Files {
  /** Follows links. Throws `file_not_found` and `bad_path`. */
  stat(path: string): Promise<SandboxFile>;
  /** Base names of what is in a folder. Throws `limit_exceeded` for one with tens of thousands. */
  list(path: string): Promise<string[]>;
  /** The first bytes of a file. */
  read(path: string, maxBytes: number): Promise<Buffer>;
  /** With all that is in it. Nothing happens when it is not there. */
  remove(path: string): Promise<void>;
}

export interface SandboxFile {
  /** Absolute. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'other';
}

const callTimeoutMs = 10_000;
/** 20,000 entries of 200 bytes. */
const maxMessageBytes = 4 * 1024 * 1024;

export function createFiles(dial: Dial, accessToken: string, user: string): Files {
  const agent = createAgent(dial);
  const headers = tenantHeaders(accessToken, user);
  const client = createClient(
    Filesystem,
    createConnectTransport({
      baseUrl: 'http://envd',
      httpVersion: '1.1',
      useBinaryFormat: true,
      readMaxBytes: maxMessageBytes,
      defaultTimeoutMs: callTimeoutMs,
      nodeOptions: { agent },
    }),
  );
  return {
    async stat(path) {
      const { entry } = await client.stat({ path }, { headers }).catch(rethrow);
      if (entry?.path.startsWith('/') !== true) throw new SoulBoxError('bad_path', 'The path must be absolute.');
      return { path: entry.path, kind: kindOf(entry.type) };
    },
    async list(path) {
      const { entries } = await client.listDir({ path, depth: 1 }, { headers }).catch(rethrow);
      return entries.map(({ name }) => name).filter((name) => name !== '' && !name.includes('/'));
    },
    async read(path, maxBytes) {
      return await readStart(path, maxBytes);
    },
    async remove(path) {
      await client.remove({ path }, { headers }).catch(rethrow);
    },
  };

  async function readStart(path: string, maxBytes: number): Promise<Buffer> {
    const query = new URLSearchParams({ path, username: user });
    return await new Promise((resolve, reject) => {
      const outgoing = httpRequest({
        agent,
        host: 'envd',
        path: `/files?${query.toString()}`,
        headers: { ...tenantHeaders(accessToken), 'accept-encoding': 'identity' },
        signal: AbortSignal.timeout(callTimeoutMs),
      });
      const fail = (cause: unknown): void => {
        reject(new SoulBoxError('sandbox_unreachable', 'The envd of the sandbox did not respond.', { cause }));
      };
      outgoing.on('error', fail);
      outgoing.on('response', (response) => {
        const { statusCode = 0 } = response;
        const start = createByteCollector(maxBytes);
        const finish = (): void => {
          response.destroy();
          if (statusCode === 200) resolve(start.bytes());
          else if (statusCode === 404) reject(new SoulBoxError('file_not_found', `${path} does not exist.`));
          else reject(new SoulBoxError('bad_path', `${path} cannot be read.`));
        };
        response.on('error', fail);
        response.on('data', (chunk: Buffer) => {
          if (response.destroyed) return;
          const isTaken = start.add(chunk.subarray(0, maxBytes - start.size));
          if (!isTaken) fail(new Error('the answer comes in too many pieces'));
          if (!isTaken || start.size === maxBytes) finish();
        });
        response.on('end', finish);
      });
      outgoing.end();
    });
  }
}

function rethrow(thrown: unknown): never {
  throw errorFromEnvd(thrown);
}

function kindOf(type: FileType): SandboxFile['kind'] {
  if (type === FileType.FILE) return 'file';
  return type === FileType.DIRECTORY ? 'folder' : 'other';
}
