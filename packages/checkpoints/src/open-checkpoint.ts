import { join } from 'node:path';
import { SoulBoxError, isNodeError } from '@soulbox/base';
import { damaged, verifyFile } from './damage.ts';
import { blockBytes, blockCountOf } from './digests/digest-job.ts';
import type { Digester } from './digests/digester.ts';
import { forEachAtOnce } from './digests/for-each-at-once.ts';
import type { Manifest } from './manifest.ts';
import { manifestFormat, manifestSchema, sealedFormat } from './manifest.ts';
import { manifestName } from './names.ts';
import { listPartFiles } from './part-files.ts';
import { readPart } from './read-part.ts';
import type { ReadablePart } from './read-part.ts';
import { revealCheckpoint } from './reveal.ts';
import { readSealedJson } from './sealed-json.ts';
import type { CheckpointKeys } from './sealing/checkpoint-keys.ts';
import { decryptPart } from './sealing/decrypt-part.ts';
import { partCipher } from './digests/part-cipher.ts';
import { openManifest } from './sealing/sealed-manifest.ts';
import type { StoreTools } from './store-tools.ts';
import type { PartDigests, Checkpoint } from './checkpoint-store.ts';

/** Reads the checkpoint in `directory`, which exists. Throws `state_damaged`, `state_incompatible`. */
export async function openCheckpoint(checkpointId: string, directory: string, tools: StoreTools): Promise<Checkpoint> {
  const { manifest, key } = await readWithKey(checkpointId, directory, tools.keys);
  const { digester, clear, kept } = tools;
  await checkParts(manifest, directory);
  const verify: Checkpoint['verify'] = async (isMeant = () => true) =>
    await verifyParts({ manifest, key, directory }, isMeant, digester);
  const digestsOf: Checkpoint['digestsOf'] = (isMeant) => partDigests({ manifest, key, directory }, isMeant);
  return {
    checkpointId,
    manifest,
    directory,
    sizeBytes: sizeOf(manifest),
    isPacked: Object.keys(manifest.packed).length > 0,
    key,
    verify,
    read: (partName) => readPart(readablePart({ manifest, key, directory }, partName)),
    digestsOf,
    reveal: async (kinds, { isShared = false } = {}) =>
      await revealCheckpoint({ manifest, key, directory, digester, clear, kept, verify, digestsOf }, kinds, isShared),
  };
}

function sizeOf({ parts, packed }: Manifest): number {
  const sizes = Object.entries(parts).map(([name, part]) => (packed[name] ?? part).sizeBytes);
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** A manifest, and the key of its parts if they are encrypted. */
interface OpenManifest {
  readonly manifest: Manifest;
  readonly key: Buffer | undefined;
}

/**
 * The manifest alone: the key of the checkpoint is overwritten. Throws `state_damaged`, `state_incompatible`, and the
 * errors of `CheckpointKeys.open`.
 */
export async function readManifest(checkpointId: string, directory: string, keys: CheckpointKeys): Promise<Manifest> {
  const { manifest, key } = await readWithKey(checkpointId, directory, keys);
  key?.fill(0);
  return manifest;
}

async function readWithKey(checkpointId: string, directory: string, keys: CheckpointKeys): Promise<OpenManifest> {
  const content = await readSealedJson(join(directory, manifestName)).catch((error: unknown) => {
    throw damaged(`The manifest of checkpoint "${checkpointId}" cannot be read`, error);
  });
  if (content === undefined) throw damaged(`The manifest of checkpoint "${checkpointId}" is incomplete or altered`);
  const format = checkFormat(checkpointId, content);
  const opened =
    format === sealedFormat ? await openManifest(checkpointId, content, keys) : { content, key: undefined };
  if (opened === undefined)
    throw damaged(`The manifest of checkpoint "${checkpointId}" is altered or belongs to another checkpoint`);
  const parsed = manifestSchema.safeParse(opened.content);
  if (!parsed.success) throw damaged(`The manifest of checkpoint "${checkpointId}" is incomplete`, parsed.error);
  checkManifest(checkpointId, parsed.data);
  return { manifest: parsed.data, key: opened.key };
}

function checkFormat(checkpointId: string, content: unknown): number {
  const format = (content as { format?: unknown } | null)?.format;
  if (format === manifestFormat || format === sealedFormat) return format;
  throw new SoulBoxError(
    'state_incompatible',
    `Checkpoint "${checkpointId}" has the format ${JSON.stringify(format)}, but this version reads ${manifestFormat} and ${sealedFormat}.`,
  );
}

function checkManifest(checkpointId: string, manifest: Manifest): void {
  if (manifest.stateId !== checkpointId)
    throw damaged(`The manifest of checkpoint "${checkpointId}" belongs to another checkpoint`);
  if (manifest.blockBytes !== blockBytes)
    throw damaged(`The manifest of checkpoint "${checkpointId}" has a different block size`);
  const stray = Object.keys(manifest.packed).find((name) => !(name in manifest.parts));
  if (stray !== undefined)
    throw damaged(`The manifest of checkpoint "${checkpointId}" lists a packed file that is not one of its parts`);
  for (const [name, part] of Object.entries(manifest.parts)) {
    if (part.digests.length === blockCountOf(part.sizeBytes)) continue;
    throw damaged(`The manifest of checkpoint "${checkpointId}" has no digests of ${name}`);
  }
}

/** Compares the files in the folder with the manifest. */
async function checkParts({ stateId: checkpointId, parts, packed }: Manifest, directory: string): Promise<void> {
  const files = await listPartFiles(directory).catch((error: unknown) => {
    if (isNodeError(error)) throw error;
    throw damaged(`Checkpoint "${checkpointId}" contains something that is not a part`, error);
  });
  const missing = new Map(Object.entries(parts).filter(([name]) => !(name in packed)));
  for (const { name, sizeBytes } of files) {
    // A crash left the file of a packed part, or the file of a part that was being unpacked.
    if (name in packed) continue;
    const part = missing.get(name);
    if (part === undefined)
      throw damaged(`Checkpoint "${checkpointId}" contains ${name}, which its manifest does not list`);
    if (part.sizeBytes !== sizeBytes) throw damaged(`${name} of checkpoint "${checkpointId}" has a different size`);
    missing.delete(name);
  }
  const [name] = missing.keys();
  if (name !== undefined) throw damaged(`${name} of checkpoint "${checkpointId}" is missing`);
}

interface Parts extends OpenManifest {
  readonly directory: string;
}

async function verifyParts(
  { manifest: { stateId: checkpointId, parts, packed }, key, directory }: Parts,
  isMeant: (partName: string) => boolean,
  digester: Digester,
): Promise<void> {
  const meant = Object.entries(parts).filter(([name]) => isMeant(name));
  const unreadable = meant.find(([name]) => name in packed)?.[0];
  if (unreadable !== undefined)
    throw new Error(`${unreadable} of checkpoint "${checkpointId}" is packed: unpack it first`);
  await forEachAtOnce(digester.threadCount, meant, async ([name, part]) => {
    const what = `${name} of checkpoint "${checkpointId}"`;
    if (key === undefined) {
      await verifyFile(what, join(directory, name), part, digester);
      return;
    }
    const cipher = partCipher(key, checkpointId, name);
    const copy = { path: join(directory, name), target: '/dev/null', sizeBytes: part.sizeBytes, cipher };
    await decryptPart(what, copy, part.digests, digester);
  });
}

function readablePart({ manifest, key, directory }: Parts, name: string): ReadablePart {
  const { stateId: checkpointId, parts, packed } = manifest;
  const raw = parts[name];
  if (raw === undefined || name in packed)
    throw new Error(`${name} of checkpoint "${checkpointId}" is packed, or is not a part`);
  const cipher = key === undefined ? undefined : partCipher(key, checkpointId, name);
  return { what: `${name} of checkpoint "${checkpointId}"`, path: join(directory, name), raw, cipher };
}

function partDigests({ manifest, key, directory }: Parts, isMeant: (partName: string) => boolean): PartDigests {
  const meant = Object.entries(manifest.parts).filter(([name]) => isMeant(name));
  return {
    blockBytes: manifest.blockBytes,
    parts: Object.fromEntries(meant.map(([name, part]) => [name, part.digests])),
    ...(key === undefined
      ? {}
      : { sealed: { directory, key: key.toString('base64'), checkpointId: manifest.stateId } }),
  };
}
