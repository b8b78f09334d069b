import { SoulBoxError } from '@soulbox/base';
import { checkpointText, openCheckpoint } from './checkpoint.ts';
import type { SignedCheckpoint } from './checkpoint.ts';
import { addLeaf, copyFrontier, rootOfFrontier } from './frontier.ts';
import type { Frontier } from './frontier.ts';
import type { LogFiles } from './log-files.ts';
import { createSigner } from './note.ts';
import type { NoteSigner } from './note.ts';
import { decodeBundle, decodeTile, encodeBundle, encodeTile, hashesAt, hashOfRange, tileWidth } from './tiles.ts';
import type { TileName } from './tiles.ts';
import { consistencyRanges, hashLeaf, inclusionRanges } from './tree.ts';
import type { Hash, Range } from './tree.ts';

/** A Merkle log in a folder, open for its one writer. */
export interface Log {
  readonly origin: string;
  /** The key with which others verify. */
  readonly verifierKey: string;
  /** The published checkpoint. */
  readonly checkpoint: SignedCheckpoint;
  /** Entries below this index were pruned, maybe by another process. */
  readMinimum(): Promise<number>;
  /** A tile or bundle of the published log as it is stored. Undefined if the log has none of this name. */
  findTile(name: TileName): Promise<Buffer | undefined>;
  /**
   * Appends entries and publishes their checkpoint. On the disk when it returns. Calls must not overlap. Throws
   * `state_damaged`, and signs nothing, if the checkpoint on the disk is not the one that this log has published last.
   */
  append(entries: readonly Uint8Array[]): Promise<SignedCheckpoint>;
  /**
   * Stores verified signature lines of witnesses: with their checkpoint as the witnessed one, and with the published one
   * if it still has the same text. Calls must not overlap, also not with `append`.
   */
  addSignatures(checkpoint: SignedCheckpoint, lines: readonly string[]): Promise<void>;
  /** The newest checkpoint with signatures of witnesses, as a note. Undefined if there is none. */
  readWitnessed(): Promise<string | undefined>;
  /** Entries from one index to another, excluded; only those that are published and not pruned. */
  readEntries(from: number, to: number): Promise<Buffer[]>;
  readLeafHash(index: number): Promise<Hash>;
  /** RFC 6962, section 2.1.1, against the published checkpoint. */
  proveInclusion(index: number): Promise<Hash[]>;
  /** RFC 6962, section 2.1.2, from an older size to a newer one, by default that of the published checkpoint. */
  proveConsistency(oldSize: number, newSize?: number): Promise<Hash[]>;
  /** Removes the bundles of all entries below `index`; the hashes stay. */
  prune(index: number): Promise<void>;
}

export interface LogOptions {
  readonly files: LogFiles;
  /** Ed25519, in PEM. */
  readonly privateKey: string;
  /** The name of the log, if it does not exist yet. */
  readonly newOrigin: string;
}

/**
 * Opens a log, or creates it with a checkpoint of size 0. Throws `state_damaged` if its checkpoint has another key or
 * does not match its tiles: nothing may be signed then.
 */
export async function openLog({ files, privateKey, newOrigin }: LogOptions): Promise<Log> {
  const present = await files.readCheckpoint();
  const origin = present?.split('\n', 1)[0] ?? newOrigin;
  const signer = createSigner(origin, privateKey);
  if (present === undefined) await files.writeCheckpoint(signNote(signer, 0, []).note);
  let checkpoint = await readSigned(files, signer);
  let frontier = await readFrontier(files, checkpoint);

  const read = async (name: TileName): Promise<Buffer> => await files.readTile(name);
  const hashes = async (ranges: readonly Range[], size: number): Promise<Hash[]> =>
    await Promise.all(ranges.map((range) => hashOfRange(range, size, read)));
  /** Signs only what continues the checkpoint on the disk, which is read again each time. */
  const publish = async (size: number, next: Frontier): Promise<void> => {
    const last = await readSigned(files, signer);
    if (last.size !== checkpoint.size || !last.root.equals(checkpoint.root) || size < last.size)
      throw new SoulBoxError('state_damaged', `The log ${origin} was changed by somebody else. Nothing was signed.`);
    await files.writeCheckpoint(signNote(signer, size, next).note);
    checkpoint = await readSigned(files, signer);
    frontier = next;
  };

  return {
    origin,
    verifierKey: signer.verifierKey,
    get checkpoint() {
      return checkpoint;
    },
    readMinimum: async () => await files.readMinimum(),
    async findTile(name) {
      const { level, index, width } = name;
      const isEntries = level === 'entries';
      const there = hashesAt(isEntries ? 0 : level, checkpoint.size) - index * tileWidth;
      const isPruned = isEntries && index * tileWidth < (await files.readMinimum());
      return width > there || isPruned ? undefined : await files.readTile(name);
    },
    async append(entries) {
      if (entries.length === 0) return checkpoint;
      const old = checkpoint.size;
      const next = copyFrontier(frontier);
      const written = await writeEntries(files, { old, entries, frontier: next });
      await files.flush();
      await publish(old + entries.length, next);
      for (const name of written) if (name.width === tileWidth) await files.removePartials(name);
      return checkpoint;
    },
    async addSignatures(signed, lines) {
      await files.writeWitnessed(signed.note + lines.filter((line) => !signed.note.includes(line)).join(''));
      if (signed.size !== checkpoint.size || !signed.root.equals(checkpoint.root)) return;
      const missing = lines.filter((line) => !checkpoint.note.includes(line));
      if (missing.length === 0) return;
      await files.writeCheckpoint(checkpoint.note + missing.join(''));
      checkpoint = await readSigned(files, signer);
    },
    readWitnessed: async () => await files.readWitnessed(),
    async readEntries(from, to) {
      const end = Math.min(to, checkpoint.size);
      const minimum = await files.readMinimum();
      const found: Buffer[] = [];
      for (let at = Math.max(from, minimum); at < end;) {
        const index = Math.floor(at / tileWidth);
        const start = index * tileWidth;
        const bundle = await readBundle(files, index, checkpoint.size);
        found.push(...bundle.slice(at - start, end - start));
        at = start + tileWidth;
      }
      return found;
    },
    readLeafHash: async (index) => await hashOfRange([index, index + 1], checkpoint.size, read),
    proveInclusion: async (index) => await hashes(inclusionRanges(index, checkpoint.size), checkpoint.size),
    proveConsistency: async (oldSize, newSize = checkpoint.size) =>
      await hashes(consistencyRanges(oldSize, newSize), newSize),
    async prune(index) {
      const first = Math.floor((await files.readMinimum()) / tileWidth);
      const to = Math.floor(Math.min(index, checkpoint.size) / tileWidth);
      if (to <= first) return;
      await files.writeMinimum(to * tileWidth);
      for (let bundle = first; bundle < to; bundle += 1)
        await files.remove({ level: 'entries', index: bundle, width: tileWidth });
    },
  };
}

function signNote(signer: NoteSigner, size: number, frontier: Frontier): { note: string } {
  return { note: signer.sign(checkpointText({ origin: signer.name, size, root: rootOfFrontier(frontier) })) };
}

async function readSigned(files: LogFiles, signer: NoteSigner): Promise<SignedCheckpoint> {
  return openCheckpoint((await files.readCheckpoint()) ?? '', signer.verifierKey);
}

/** The right edge of the log's tiles. Throws `state_damaged` if it does not have the root of the checkpoint. */
async function readFrontier(files: LogFiles, { size, root, origin }: SignedCheckpoint): Promise<Frontier> {
  const frontier: Frontier = [];
  for (let level = 0; hashesAt(level, size) > 0; level += 1) {
    const width = hashesAt(level, size) % tileWidth;
    const index = Math.floor(hashesAt(level, size) / tileWidth);
    frontier.push(width === 0 ? [] : decodeTile(await files.readTile({ level, index, width }), width));
  }
  if (!rootOfFrontier(frontier).equals(root))
    throw new SoulBoxError('state_damaged', `The tiles of the log ${origin} do not match its checkpoint.`);
  return frontier;
}

async function readBundle(files: LogFiles, index: number, size: number): Promise<Buffer[]> {
  const width = Math.min(tileWidth, size - index * tileWidth);
  return decodeBundle(await files.readTile({ level: 'entries', index, width }), width);
}

/** Writes the bundles and tiles that new entries complete or lengthen, and extends the frontier. */
async function writeEntries(
  files: LogFiles,
  {
    old,
    entries,
    frontier,
  }: { readonly old: number; readonly entries: readonly Uint8Array[]; readonly frontier: Frontier },
): Promise<TileName[]> {
  const written: TileName[] = [];
  const write = async (name: TileName, bytes: Uint8Array): Promise<void> => {
    await files.writeTile(name, bytes);
    written.push(name);
  };
  const size = old + entries.length;
  let bundle: Uint8Array[] = old % tileWidth === 0 ? [] : await readBundle(files, Math.floor(old / tileWidth), old);
  for (const [offset, entry] of entries.entries()) {
    bundle.push(entry);
    const count = old + offset + 1;
    for (const { level, hashes } of addLeaf(frontier, hashLeaf(entry)))
      await write({ level, index: hashesAt(level + 1, count) - 1, width: tileWidth }, encodeTile(hashes));
    if (bundle.length < tileWidth && count < size) continue;
    const index = Math.floor((count - 1) / tileWidth);
    await write({ level: 'entries', index, width: bundle.length }, encodeBundle(bundle));
    bundle = [];
  }
  for (const [level, hashes] of frontier.entries()) {
    const isNew = hashesAt(level, size) > hashesAt(level, old);
    const index = Math.floor(hashesAt(level, size) / tileWidth);
    if (isNew && hashes.length > 0) await write({ level, index, width: hashes.length }, encodeTile(hashes));
  }
  return written;
}
