import { Readable } from 'node:stream';
import { SoulBoxError } from '@soulbox/base';
import type { VolumeCall, VolumeService } from '../volume-service/volume-service.ts';

/** Keeps files of volumes in memory. Folders and attributes are not kept: each path that is no file is a folder. */
export interface ScriptedVolumes extends VolumeService {
  /** Every call so far. */
  readonly calls: VolumeCall[];
  /** Contents by volume and path. */
  readonly files: Map<string, Buffer>;
  /** Thrown by the next calls; undefined: they work. */
  failure: Error | undefined;
}

export function createScriptedVolumes(): ScriptedVolumes {
  const files = new Map<string, Buffer>();
  const calls: VolumeCall[] = [];
  const time = new Date(1).toISOString();
  const entry = (path: string, content: Buffer | undefined) => ({
    ...{ name: path.split('/').at(-1) ?? '', path, size: content?.length ?? 0, mode: 0o644, uid: 1000, gid: 1000 },
    ...{ type: content === undefined ? 'directory' : 'file', atime: time, mtime: time, ctime: time },
  });
  const answer = (status: number, body: Buffer | object | undefined, headers = {}) => {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body === undefined ? '' : JSON.stringify(body));
    return { status, headers, body: Readable.from([bytes], { objectMode: false }) };
  };
  const scripted: ScriptedVolumes = {
    ...{ calls, files, failure: undefined },
    storage: async () =>
      await Promise.resolve({
        ...{ state: 'working', reason: '', wanted: 4, uploaded: 3, uploads: 9, uploadedBytes: 8000, failures: 2 },
        behind: [{ id: 'v1', seconds: 7, bytes: 500, storedAtMs: 1, reason: '' }],
      }),
    async call(call) {
      calls.push(call);
      if (scripted.failure !== undefined) throw scripted.failure;
      const path = String(call.query?.['path'] ?? '');
      const name = `${call.volumeId} ${path}`;
      const content = files.get(name);
      switch (`${call.method} ${call.what}`) {
        case 'POST copy':
          for (const [other, bytes] of [...files])
            if (other.startsWith(`${call.volumeId} `))
              files.set(other.replace(call.volumeId, String(call.query?.['to'])), bytes);
          return answer(204, undefined);
        case 'GET usage':
          return answer(200, { bytes: content?.length ?? 0, inodes: files.size + 1 });
        case 'POST rename':
          if (content === undefined) throw new SoulBoxError('file_not_found', `The path "${path}" does not exist.`);
          files.delete(name);
          files.set(`${call.volumeId} ${String(call.query?.['to'])}`, content);
          return answer(200, entry(String(call.query?.['to']), content));
        case 'GET dir':
          return answer(200, [entry('/a', undefined)]);
        case 'GET path':
          return answer(200, entry(path, content));
        case 'POST dir':
          return answer(201, entry(path, undefined));
        case 'PATCH path':
          return answer(200, entry(path, content));
        case 'GET file':
          if (content === undefined) throw new SoulBoxError('file_not_found', `The path "${path}" does not exist.`);
          return answer(200, content, { 'content-length': String(content.length) });
        case 'PUT file': {
          const chunks: Uint8Array[] = [];
          for await (const chunk of call.body ?? []) chunks.push(chunk);
          files.set(name, Buffer.concat(chunks));
          return answer(201, entry(path, files.get(name)));
        }
        default:
          files.delete(name);
          return answer(204, undefined);
      }
    },
  };
  return scripted;
}
