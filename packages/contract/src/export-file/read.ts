import { pipeline } from 'node:stream/promises';
import { constants, createZstdDecompress } from 'node:zlib';
import { SoulBoxError } from '@soulbox/base';
import type { BlockPlace, ExportManifest } from './manifest.ts';
import { manifestMaxBytes, parseManifest, placesOf, unusable } from './manifest.ts';
import type { ExportSignature } from './signature.ts';
import { exportMagic, signatureSchema } from './signature.ts';

const lineMaxBytes = 1024;
const chunkBytes = 256 * 1024;
/** 8 MiB. A file that needs more memory is refused. */
const windowLogMax = 23;

export interface ExportHeader {
  /** The text that is signed. */
  readonly manifestBytes: Uint8Array;
  readonly signature: ExportSignature;
}

/** A block of data, and its place. Its digest is not checked: `isIntact` of the receiver. */
export interface ExportBlock {
  readonly place: BlockPlace;
  readonly bytes: Uint8Array;
}

export interface OpenExport extends ExportHeader {
  /** Parsed, but whoever uses it must check the signature first. */
  readonly manifest: ExportManifest;
  /** The blocks, in order. To be read once. Throws `export_unusable` when the file is cut off, altered, or too long. */
  blocks(): AsyncGenerator<ExportBlock>;
}

export interface UnparsedExport extends ExportHeader {
  /**
   * Parses the manifest. JSON that was made for it blocks the process for seconds, so a server checks first whether it
   * trusts the signature. To be called once. Throws `export_unusable`.
   */
  parse(): OpenExport;
}

/**
 * Reads the beginning of a file, up to the data, without parsing the manifest. Memory is bounded by the size of a
 * manifest. Throws `export_unusable`.
 */
export async function readExportHeader(source: AsyncIterable<Uint8Array>): Promise<UnparsedExport> {
  const input = createInput(source);
  const magic = Buffer.from(await input.take(exportMagic.length)).toString('latin1');
  if (magic !== exportMagic)
    throw unusable(
      magic.startsWith('soulbox-export ')
        ? 'it has another version than this program reads'
        : 'it is not an export of SoulBox',
    );
  const signature = parseSignature(await input.takeLine(lineMaxBytes));
  if (signature.manifestBytes > manifestMaxBytes) throw unusable('its manifest is too large');
  const manifestBytes = await input.take(signature.manifestBytes);
  return {
    ...{ manifestBytes, signature },
    parse() {
      const manifest = parseManifest(manifestBytes);
      return { manifest, manifestBytes, signature, blocks: () => readBlocks(manifest, input.rest()) };
    },
  };
}

/** Like `readExportHeader`, and parses the manifest at once: for programs that a hostile file stops only for its user. */
export async function openExport(source: AsyncIterable<Uint8Array>): Promise<OpenExport> {
  return (await readExportHeader(source)).parse();
}

function parseSignature(line: string): ExportSignature {
  try {
    return signatureSchema.parse(JSON.parse(line));
  } catch (error) {
    throw unusable('it has no signature', error);
  }
}

async function* readBlocks(
  manifest: ExportManifest,
  compressed: AsyncIterable<Uint8Array>,
): AsyncGenerator<ExportBlock> {
  const decompress = createZstdDecompress({
    chunkSize: chunkBytes,
    params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
  });
  // An error of either side reaches the reader of `decompress`.
  pipeline(compressed, decompress).catch(() => undefined);
  const input = createInput(decompress as AsyncIterable<Uint8Array>);
  try {
    for (const place of placesOf(manifest)) yield { place, bytes: await input.take(place.length) };
    if (!(await input.isAtEnd())) throw unusable('it has more data than its manifest says');
  } catch (error) {
    if (error instanceof SoulBoxError || !isZstdError(error)) throw error;
    throw unusable('its data are altered', error);
  } finally {
    decompress.destroy();
  }
}

function isZstdError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code?.startsWith('Z') === true;
}

/** Takes exact numbers of bytes from a stream. */
interface Input {
  /** Throws `export_unusable` when the stream ends before. */
  take(length: number): Promise<Uint8Array>;
  /** Up to a line feed, without it. */
  takeLine(maxBytes: number): Promise<string>;
  isAtEnd(): Promise<boolean>;
  rest(): AsyncGenerator<Uint8Array>;
}

function createInput(source: AsyncIterable<Uint8Array>): Input {
  const iterator = source[Symbol.asyncIterator]();
  let waiting: Uint8Array = new Uint8Array(0);
  const fill = async (): Promise<boolean> => {
    while (waiting.length === 0) {
      const next = await iterator.next();
      if (next.done === true) return false;
      waiting = next.value;
    }
    return true;
  };
  const take = async (length: number): Promise<Uint8Array> => {
    // Grows with what arrives, because the length may be a lie.
    const pieces: Uint8Array[] = [];
    for (let missing = length; missing > 0;) {
      if (!(await fill())) throw unusable('it is cut off');
      const piece = waiting.subarray(0, missing);
      waiting = waiting.subarray(piece.length);
      missing -= piece.length;
      pieces.push(piece);
    }
    return pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
  };
  return {
    take,
    async takeLine(maxBytes) {
      const pieces: Uint8Array[] = [];
      let length = 0;
      for (;;) {
        if (!(await fill())) throw unusable('it is cut off');
        const end = waiting.indexOf(10);
        const piece = waiting.subarray(0, end < 0 ? waiting.length : end);
        length += piece.length;
        if (length > maxBytes) throw unusable('it has no signature');
        pieces.push(piece);
        waiting = waiting.subarray(end < 0 ? waiting.length : end + 1);
        if (end >= 0) return Buffer.concat(pieces).toString('latin1');
      }
    },
    isAtEnd: async () => !(await fill()),
    async *rest() {
      try {
        while (await fill()) {
          const piece = waiting;
          waiting = new Uint8Array(0);
          yield piece;
        }
      } finally {
        await iterator.return?.();
      }
    },
  };
}
