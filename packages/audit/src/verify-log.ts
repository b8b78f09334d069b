/* oxlint-disable no-console -- also a program of its own: an export contains it as verify.mjs, for readers without SoulBox */
import { createPublicKey, hash, verify } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';

/**
 * Verifies an exported range of an audit log offline, with nothing but Node.js. It shares no code with the writer on
 * purpose. Formats: C2SP tlog-tiles, tlog-checkpoint, signed-note, tlog-cosignature; hashes of RFC 6962.
 */
export interface Fault {
  /**
   * One of: no-checkpoint, unknown-key, wrong-signature, missing-file, rewritten, changed-tile, changed, deleted, inserted,
   * reordered, cut, fork, rolled-back, wrong-number, gap, too-few-witnesses
   */
  readonly code: string;
  readonly text: string;
}

export interface VerifyOptions {
  readonly directory: string;
  /** The verifier key that the reader trusts. Absent: that of the export, which proves nothing about its author. */
  readonly key?: string | undefined;
  /** Checkpoints of the same log that the reader has kept, as notes. */
  readonly earlier?: readonly string[];
  /** Verifier keys of witnesses, and how many of them must have signed. */
  readonly witnesses?: readonly string[];
  readonly quorum?: number;
}

export interface VerifyReport {
  readonly origin: string;
  readonly size: number;
  /** The first record of the export, and the number of records that were verified. */
  readonly from: number;
  readonly records: number;
  /** Actions that were admitted and have no outcome: the server stopped in between, or they still run. */
  readonly incomplete: number;
  readonly faults: readonly Fault[];
}

const width = 256;
const hashBytes = 32;
const faultsMax = 20;

type Head = Readonly<{ origin: string; size: number; root: string }>;

const sha256 = (data: Uint8Array): Buffer => hash('sha256', data, 'buffer');
const scratch = Buffer.alloc(1 + 2 * hashBytes, 1);

function nodeOf(left: Uint8Array, right: Uint8Array): Buffer {
  scratch.set(left, 1);
  scratch.set(right, 1 + hashBytes);
  return sha256(scratch);
}

function rootOf(nodes: readonly Uint8Array[]): Uint8Array {
  if (nodes.length === 0) return sha256(Buffer.alloc(0));
  let level = nodes;
  // Joining neighbors level by level gives the same tree as splitting at powers of two: a last one without neighbor rises.
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const [left, right] = [level[at] as Uint8Array, level[at + 1]];
      next.push(right === undefined ? left : nodeOf(left, right));
    }
    level = next;
  }
  return level[0] as Uint8Array;
}

function pathOf(level: number | 'entries', index: number, partial: number): string {
  const groups = [String(index % 1000).padStart(3, '0')];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000))
    groups.unshift(`x${String(rest % 1000).padStart(3, '0')}`);
  return `tile/${level}/${groups.join('/')}${partial === width ? '' : `.p/${partial}`}`;
}

/** A key `name+id+base64`; type 1 signs the text, type 4 (a witness) the time and the text. */
function parseKey(text: string) {
  const [name = '', id = '', ...rest] = text.trim().split('+');
  const bytes = Buffer.from(rest.join('+'), 'base64');
  const expected = sha256(Buffer.concat([Buffer.from(`${name}\n`), bytes])).subarray(0, 4);
  if (bytes.length !== 33 || expected.toString('hex') !== id) throw new Error(`"${text}" is not a verifier key.`);
  const der = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), bytes.subarray(1)]);
  return { name, id: expected, type: bytes[0], key: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
}

/** Whether the key has signed the note: undefined if there is no signature of it. */
function isSignedBy(note: string, keyText: string): boolean | undefined {
  const { name, id, type, key } = parseKey(keyText);
  const end = note.lastIndexOf('\n\n');
  const text = note.slice(0, end + 1);
  for (const line of note.slice(end + 2).split('\n')) {
    const [, signer, encoded = ''] = /^\u2014 (\S+) (\S+)$/.exec(line) ?? [];
    const bytes = Buffer.from(encoded, 'base64');
    if (signer !== name || !bytes.subarray(0, 4).equals(id)) continue;
    if (type === 1) return verify(null, Buffer.from(text), key, bytes.subarray(4));
    if (bytes.length !== 76) return false;
    const message = `cosignature/v1\ntime ${bytes.readBigUInt64BE(4)}\n${text}`;
    return verify(null, Buffer.from(message), key, bytes.subarray(12));
  }
  return undefined;
}

function headOf(note: string): Head | undefined {
  const [origin = '', size = '', root = ''] = note.split('\n');
  return note.includes('\n\n') && /^\d{1,16}$/.test(size) ? { origin, size: Number(size), root } : undefined;
}

/** The hashes of all leaves, and of all full tiles of leaves. */
type Tree = Readonly<{ leaves: Buffer; tiles: readonly Uint8Array[] }>;

const leafAt = ({ leaves }: Tree, index: number): Buffer => leaves.subarray(index * hashBytes, (index + 1) * hashBytes);

function rootAt(tree: Tree, size: number): string {
  const whole = Math.floor(size / width);
  const rest = Array.from({ length: size - whole * width }, (_, at) => leafAt(tree, whole * width + at));
  const nodes = tree.tiles.slice(0, whole);
  return Buffer.from(rootOf(rest.length === 0 ? nodes : [...nodes, rootOf(rest)])).toString('base64');
}

export function verifyLog({ directory, key, earlier = [], witnesses = [], quorum = 0 }: VerifyOptions): VerifyReport {
  const faults: Fault[] = [];
  const blame = (code: string, text: string): void => {
    if (faults.length < faultsMax) faults.push({ code, text });
  };
  const read: Read = (path) => (existsSync(join(directory, path)) ? readFileSync(join(directory, path)) : undefined);
  const info = JSON.parse((read('log.json') ?? '{}').toString()) as { verifierKey?: string; from?: number };
  const trusted = key ?? info.verifierKey ?? '';
  const note = (read('checkpoint') ?? '').toString();
  const head = headOf(note);
  const nothing = { origin: '', size: 0, from: 0, records: 0, incomplete: 0, faults };
  if (head === undefined) {
    blame('no-checkpoint', 'The export has no checkpoint.');
    return nothing;
  }
  checkSignature(note, head, trusted, blame);
  checkWitnesses(note, witnesses, quorum, blame);
  const tree = readTree(head, read, blame);
  const from = info.from ?? 0;
  if (tree === undefined) return { ...nothing, origin: head.origin, size: head.size, from };
  if (rootAt(tree, head.size) !== head.root)
    blame('rewritten', 'The tiles do not have the root that the log has signed: history was rewritten.');
  for (const old of earlier) checkEarlier(old, head, tree, trusted, blame);
  return { origin: head.origin, size: head.size, from, ...checkEntries(head, from, tree, read, blame), faults };
}

type Blame = (code: string, text: string) => void;
type Read = (path: string) => Buffer | undefined;

function checkSignature(note: string, head: Head, key: string, blame: Blame): void {
  const isSigned = parseKey(key).name === head.origin ? isSignedBy(note, key) : undefined;
  if (isSigned === undefined)
    blame('unknown-key', `The checkpoint of ${head.origin} is not signed with the trusted key.`);
  if (isSigned === false) blame('wrong-signature', 'The signature of the checkpoint is wrong: it was changed.');
}

function checkWitnesses(note: string, witnesses: readonly string[], quorum: number, blame: Blame): void {
  const signed = witnesses.filter((witness) => isSignedBy(note, witness) === true).length;
  if (signed < quorum) blame('too-few-witnesses', `${signed} witnesses have signed the checkpoint, not ${quorum}.`);
}

/** The whole tree: an export has all hashes, even if it has not all records. */
function readTree({ size }: Head, read: Read, blame: Blame): Tree | undefined {
  const parts: Buffer[] = [];
  const tiles: Uint8Array[] = [];
  for (let index = 0; index * width < size; index += 1) {
    const count = Math.min(width, size - index * width);
    const path = pathOf(0, index, count);
    const bytes = read(path) ?? read(pathOf(0, index, width))?.subarray(0, count * hashBytes);
    if (bytes?.length !== count * hashBytes) {
      blame('missing-file', `${path} is missing or too short.`);
      return undefined;
    }
    parts.push(bytes);
    if (count === width)
      tiles.push(
        rootOf(Array.from({ length: width }, (_, at) => bytes.subarray(at * hashBytes, (at + 1) * hashBytes))),
      );
  }
  let hashes: readonly Uint8Array[] = tiles;
  for (let level = 1; hashes.length > 0; level += 1) {
    const above: Uint8Array[] = [];
    for (let at = 0; at < hashes.length; at += width) {
      const own = hashes.slice(at, at + width);
      const path = pathOf(level, at / width, own.length);
      const bytes = read(path) ?? read(pathOf(level, at / width, width))?.subarray(0, own.length * hashBytes);
      if (bytes?.equals(Buffer.concat(own)) !== true)
        blame('changed-tile', `${path} does not match the tiles below it.`);
      if (own.length === width) above.push(rootOf(own));
    }
    hashes = above;
  }
  return { leaves: Buffer.concat(parts), tiles };
}

function checkEarlier(note: string, head: Head, tree: Tree, key: string, blame: Blame): void {
  const old = headOf(note);
  if (old === undefined || old.origin !== head.origin || isSignedBy(note, key) !== true)
    blame('unknown-key', 'An earlier checkpoint is not one of this log and key.');
  else if (old.size > head.size)
    blame(
      'rolled-back',
      `The log has ${head.size} records, but once had ${old.size}: an old state was restored or replayed.`,
    );
  else if (rootAt(tree, old.size) !== old.root)
    blame('fork', `The first ${old.size} records are not those of an earlier checkpoint: there are two histories.`);
}

type Entry = Record<'seq' | 'writerSeq', number> & Record<'writer' | 'stage', string> & { request?: { id: string } };

function checkEntries(head: Head, from: number, tree: Tree, read: Read, blame: Blame) {
  const open = new Set<string>();
  /** The hashes of the entries from the first one on that is not the record of the log at its place. */
  const differing: Buffer[] = [];
  let [before, records]: [Entry | undefined, number] = [undefined, 0];
  for (let index = Math.floor(from / width); index * width < head.size; index += 1) {
    const count = Math.min(width, head.size - index * width);
    const own = read(pathOf('entries', index, count));
    const bundle = own ?? read(pathOf('entries', index, width));
    if (bundle === undefined) {
      blame('missing-file', `${pathOf('entries', index, count)} is missing: its records were deleted.`);
      return { records, incomplete: open.size };
    }
    const entries = own === undefined ? count : Infinity;
    for (let at = 0, place = 0; at + 2 <= bundle.length && place < entries; place += 1) {
      const start = at + 2;
      at = start + bundle.readUInt16BE(at);
      // The second byte of the length becomes the prefix of a leaf, which saves a copy of the entry.
      bundle[start - 1] = 0;
      const leaf = sha256(bundle.subarray(start - 1, at));
      const seq = from + records;
      if (differing.length > 0 || seq >= head.size || !leaf.equals(leafAt(tree, seq))) {
        differing.push(leaf);
        continue;
      }
      const entry = JSON.parse(bundle.toString('utf8', start, at)) as Entry;
      checkNumbers(entry, seq, before, blame);
      if (entry.stage === 'admitted' && entry.request !== undefined) open.add(entry.request.id);
      if (entry.stage === 'outcome' && entry.request !== undefined) open.delete(entry.request.id);
      [before, records] = [entry, records + 1];
    }
  }
  if (differing.length > 0 || from + records !== head.size)
    nameDifference(differing, from + records, head.size, tree, blame);
  return { records, incomplete: open.size };
}

function checkNumbers(entry: Entry, seq: number, before: Entry | undefined, blame: Blame): void {
  if (entry.seq !== seq) blame('wrong-number', `Record ${seq} says that it is record ${entry.seq}.`);
  const wanted = before?.writer === entry.writer ? before.writerSeq + 1 : 0;
  if (entry.writerSeq !== wanted && before !== undefined)
    blame(
      'gap',
      `Record ${seq} is number ${entry.writerSeq} of its writer instead of ${wanted}: records were lost before.`,
    );
}

/** Says what was done to the entries, by the first place at which they differ from the signed tree. */
function nameDifference(found: readonly Buffer[], seq: number, size: number, tree: Tree, blame: Blame): void {
  const [here, next] = found;
  const elsewhere = here === undefined ? -1 : tree.leaves.indexOf(here);
  const missing = size - seq - found.length;
  if (here === undefined) blame('cut', `The last ${missing} records, from ${seq} on, are missing.`);
  else if (missing > 0 && elsewhere > seq * hashBytes) blame('deleted', `Record ${seq} was deleted.`);
  else if (missing < 0 || (elsewhere < 0 && next?.equals(leafAt(tree, seq)) === true))
    blame('inserted', `At ${seq}, a record was inserted.`);
  else if (elsewhere >= 0)
    blame('reordered', `At ${seq} stands record ${elsewhere / hashBytes}: the order was changed.`);
  else blame('changed', `Record ${seq} was changed.`);
}

function main(): void {
  const string = { type: 'string' } as const;
  const list = { ...string, multiple: true } as const;
  const options = { key: string, earlier: list, witness: list, quorum: string };
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const report = verifyLog({
    directory: positionals[0] ?? import.meta.dirname,
    key: values.key,
    earlier: (values.earlier ?? []).map((file) => readFileSync(file, 'utf8')),
    witnesses: values.witness ?? [],
    quorum: Number(values.quorum ?? 0),
  });
  console.log(JSON.stringify({ ...report, isKeyGiven: values.key !== undefined }, undefined, 2));
  process.exitCode = report.faults.length === 0 ? 0 : 1;
}

if (basename(process.argv[1] ?? '') === 'verify.mjs') {
  try {
    main();
  } catch (thrown) {
    const usage = 'usage: node verify.mjs [FOLDER] [--key KEY] [--earlier FILE]... [--witness KEY]... [--quorum N]';
    console.error(`${thrown instanceof Error ? thrown.message : String(thrown)}\n${usage}`);
    process.exitCode = 2;
  }
}
