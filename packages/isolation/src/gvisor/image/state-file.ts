import { SoulBoxError } from '@soulbox/base';

/** The objects of gVisor's kernel as runsc wrote them, and where each byte of them stands in the file. */
export interface StateStream {
  readonly bytes: Uint8Array;
  readonly offsets: Uint32Array;
}

const magic = 'gVisorSF';
const hashBytes = 32;

/**
 * Takes the stream out of a `checkpoint.img`: magic, length and JSON of what is known about it, a digest of these, then pieces of
 * the stream, mostly of one byte, each behind its length (gVisor: pkg/state/statefile, pkg/compressio/nocompressio.go).
 * Numbers are big-endian. Throws `checkpoint_failed` when it is not that.
 */
export function parseStateFile(file: Buffer): StateStream {
  if (file.length < 16 || file.toString('latin1', 0, 8) !== magic) throw unknownForm('it is no state file');
  const metadataEnd = 16 + Number(file.readBigUInt64BE(8));
  const metadata = JSON.parse(file.toString('utf8', 16, metadataEnd)) as { compression?: string };
  if (metadata.compression !== 'none') throw unknownForm('it is compressed');
  const bytes = new Uint8Array(file.length);
  const offsets = new Uint32Array(file.length);
  let length = 0;
  for (let at = metadataEnd + hashBytes; at < file.length;) {
    const size = file.readUInt32BE(at);
    at += 4;
    if (size === 0 || at + size > file.length) throw unknownForm('a piece of it is cut short');
    for (const end = at + size; at < end; at += 1, length += 1) {
      bytes[length] = file[at] ?? 0;
      offsets[length] = at;
    }
  }
  return { bytes: bytes.subarray(0, length), offsets: offsets.subarray(0, length) };
}

export function unknownForm(what: string): SoulBoxError {
  return new SoulBoxError('checkpoint_failed', 'runsc wrote a state of a form that this server does not know.', {
    cause: new Error(what),
  });
}
