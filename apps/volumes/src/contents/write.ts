import { openPaths } from '@soulbox/volumes';
import type { PathEntry, Volume } from '@soulbox/volumes';
import { pieceBytes } from '../limits.ts';
import { newOwner } from '../volumes/open-volumes.ts';

/** Absent: those of the file that is replaced, or else the usual ones. */
export interface Attributes {
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
}

/** How a file is written. */
export interface FileWrite {
  readonly attributes: Attributes;
  /** Whether a file that exists gets other contents. Otherwise it is an error. */
  readonly replaces: boolean;
  /** Called before bytes are written. Throws to refuse them. */
  readonly take: (bytes: number) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Writes a file with the bytes of `body`, all or nothing. When it returns, they survive a crash of the host. */
export async function writeFile(
  volume: Volume,
  path: string,
  body: AsyncIterable<Uint8Array>,
  { attributes, replaces, take, signal }: FileWrite,
): Promise<PathEntry> {
  const paths = openPaths(volume);
  const node = { ...newOwner, mode: 0o644, ...attributes };
  const written = await paths.write(path, inPieces(body, take), { ...node, createOnly: !replaces, signal });
  // A file that is replaced leaves its own to the new one.
  const isAsWanted = (['uid', 'gid', 'mode'] as const).every(
    (name) => attributes[name] === undefined || attributes[name] === written[name],
  );
  const entry = isAsWanted ? written : await paths.setAttributes(path, attributes);
  await volume.sync();
  return entry;
}

/** Fewer, larger pieces: each is a transaction. */
async function* inPieces(body: AsyncIterable<Uint8Array>, take: FileWrite['take']): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  const flush = async (): Promise<Uint8Array> => {
    await take(bytes);
    const piece = Buffer.concat(waiting);
    waiting = [];
    bytes = 0;
    return piece;
  };
  for await (const chunk of body) {
    waiting.push(chunk);
    bytes += chunk.length;
    if (bytes >= pieceBytes) yield await flush();
  }
  if (bytes > 0) yield await flush();
}
