import { createClient } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { FileType, Filesystem } from '@soulbox/contract/filesystem';
import { callEnvd } from './call-envd.ts';
import { errorFromEnvd } from './error-from-envd.ts';
import { tenantHeaders } from './tenant-headers.ts';
import { createWayTransport, openWay } from './way.ts';
import type { EnvdTarget } from './way.ts';

/**
 * Reads files of one sandbox as one of its users. Its envd is hostile: answers are bounded and only used inside the
 * sandbox.
 */
export interface Files {
  /** Follows links. Throws `file_not_found` and `bad_path`. */
  stat(path: string): Promise<SandboxFile>;
  /**
   * Returns the base names of the entries of a folder. Throws `limit_exceeded` for a folder with tens of thousands of
   * entries.
   */
  list(path: string): Promise<string[]>;
  /** Returns the first bytes of a file. */
  read(path: string, maxBytes: number): Promise<Buffer>;
  /** Removes a path with all its contents. Does nothing if it does not exist. */
  remove(path: string): Promise<void>;
}

export interface SandboxFile {
  /** Absolute. */
  readonly path: string;
  readonly kind: 'file' | 'folder' | 'other';
}

const callTimeoutMs = 10_000;
/** Enough for 20,000 entries of 200 bytes. */
const maxMessageBytes = 4 * 1024 * 1024;

export function createFiles(target: EnvdTarget, accessToken: string, user: string): Files {
  const way = openWay(target);
  const headers = { ...way.headers, ...tenantHeaders(accessToken, user) };
  const client = createClient(
    Filesystem,
    createWayTransport(way, { maxMessageBytes, defaultTimeoutMs: callTimeoutMs }),
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
      const query = new URLSearchParams({ path, username: user });
      const { status, body } = await callEnvd(way, {
        method: 'GET',
        path: `/files?${query.toString()}`,
        headers: tenantHeaders(accessToken),
        timeoutMs: callTimeoutMs,
        maxAnswerBytes: maxBytes,
        onExcess: 'cut',
      });
      if (status === 200) return body;
      if (status === 404) throw new SoulBoxError('file_not_found', `${path} does not exist.`);
      throw new SoulBoxError('bad_path', `${path} cannot be read.`);
    },
    async remove(path) {
      await client.remove({ path }, { headers }).catch(rethrow);
    },
  };
}

function rethrow(thrown: unknown): never {
  throw errorFromEnvd(thrown);
}

function kindOf(type: FileType): SandboxFile['kind'] {
  if (type === FileType.FILE) return 'file';
  return type === FileType.DIRECTORY ? 'folder' : 'other';
}
