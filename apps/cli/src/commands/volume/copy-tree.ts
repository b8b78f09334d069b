import { callApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';
import { uploadApi } from '../../api/transfer.ts';
import { extract, noneCopied } from '../../copy/extract.ts';
import type { Copied, Destination } from '../../copy/extract.ts';
import type { TarEntry } from '../../copy/tar-reader.ts';
import { join } from './tree-source.ts';
import type { TreeEntry } from './tree-source.ts';
import { contentCall } from './volume-place.ts';
import type { VolumePlace } from './volume-place.ts';

/** Files that are sent at once: most of the time of a small one is waiting. */
const filesAtOnce = 4;

/** Called with all bytes so far. */
export type OnBytes = (bytes: number, copied: Readonly<Copied>) => void;

export type CopiedTree = Copied & { bytes: number };

/**
 * Writes a folder below a path of a volume. What is there stays, and files that have the same names are replaced. The API
 * cannot make links: they are left out, as devices are. Throws the error of the first file that cannot be copied; what was
 * copied before stays.
 */
export async function sendTree(
  api: ApiConnection,
  entries: AsyncIterable<TreeEntry>,
  to: VolumePlace,
  { onBytes, signal }: { readonly onBytes: OnBytes; readonly signal: AbortSignal },
): Promise<CopiedTree> {
  const copied = { ...noneCopied(), bytes: 0 };
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const sending = new Set<Promise<void>>();
  const placeOf = ({ path }: TreeEntry): VolumePlace => ({ ...to, path: join(to.path, path) });
  const send = async (entry: TreeEntry): Promise<void> => {
    async function* counted(): AsyncGenerator<Uint8Array> {
      for await (const piece of entry.read()) {
        copied.bytes += piece.length;
        onBytes(copied.bytes, copied);
        yield piece;
      }
    }
    const call = contentCall('file', placeOf(entry), { mode: entry.mode & 0o777 });
    await uploadApi(api, { method: 'PUT', contentType: 'application/octet-stream', ...call }, counted(), ended);
    copied.files += 1;
  };
  try {
    for await (const entry of entries) {
      if (entry.kind === 'link' || entry.kind === 'special') copied.skipped += 1;
      else if (entry.kind === 'folder') {
        const query = { force: true, mode: entry.mode & 0o777 };
        await callApi(api, { method: 'POST', ...contentCall('dir', placeOf(entry), query) });
        copied.folders += 1;
      } else {
        if (sending.size >= filesAtOnce) await Promise.race(sending);
        const one = send(entry).finally(() => sending.delete(one));
        sending.add(one);
        // It is awaited with the others, and must not end the program before.
        one.catch(() => undefined);
      }
    }
    await Promise.all(sending);
    return copied;
  } catch (error) {
    stop.abort(error);
    await Promise.allSettled(sending);
    throw error;
  }
}

/**
 * Writes a folder of a volume to this host, by the rules of `soulbox sandbox cp`: nothing outside of the destination is
 * touched, and no link is followed.
 */
export async function receiveTree(
  entries: AsyncIterable<TreeEntry>,
  destination: Destination,
  onBytes: OnBytes,
): Promise<CopiedTree> {
  const copied = { ...noneCopied(), bytes: 0 };
  async function* converted(): AsyncGenerator<TarEntry> {
    for await (const entry of entries) {
      let size = entry.size;
      yield {
        ...{ kind: entry.kind, mode: entry.mode, mtime: entry.mtime },
        name: Buffer.from(['.', ...entry.path].join('/')),
        target: Buffer.from(entry.target),
        // The file may have changed since it was listed.
        get size() {
          return size;
        },
        async *readBody() {
          let at = 0;
          for await (const bytes of entry.read()) {
            yield { at, bytes };
            at += bytes.length;
            copied.bytes += bytes.length;
            onBytes(copied.bytes, copied);
          }
          size = at;
        },
      };
    }
  }
  await extract(converted(), destination, copied);
  return copied;
}
