import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { ClearCheckpoint, PartDigests, PartKinds } from './checkpoint-store.ts';
import type { ClearFolders } from './clear-folders.ts';
import { blockBytes } from './digests/digest-job.ts';
import type { Digester } from './digests/digester.ts';
import { forEachAtOnce } from './digests/for-each-at-once.ts';
import type { Manifest } from './manifest.ts';
import { decryptPart, noMemory } from './sealing/decrypt-part.ts';
import { partCipher } from './digests/part-cipher.ts';

/** A restore may read the parts with other ids. */
const mode = 0o644;
/** So that a thread gets several small ones at once. */
const partsAtOnce = 64;

interface Revealing {
  readonly manifest: Manifest;
  /** Undefined: the checkpoint is not encrypted. */
  readonly key: Uint8Array | undefined;
  readonly directory: string;
  readonly digester: Digester;
  readonly clear: ClearFolders;
  readonly verify: (isMeant: (partName: string) => boolean) => Promise<void>;
  readonly digestsOf: (isMeant: (partName: string) => boolean) => PartDigests;
}

export async function revealCheckpoint(from: Revealing, kinds: PartKinds): Promise<ClearCheckpoint> {
  const { manifest, key, clear, verify } = from;
  const folder = await clear.make(manifest.stateId);
  const scratch = join(folder, 'scratch');
  const isMemory = (name: string): boolean => kinds.isMemory(name);
  const isNow = (name: string): boolean => isMemory(name) && !kinds.isLate(name);
  let pagesChecked = Promise.resolve();
  try {
    await mkdir(scratch, { mode: 0o700 });
    if (key === undefined) {
      await verify((name) => !isMemory(name));
      pagesChecked = verify(isNow);
    } else {
      const image = join(folder, 'image');
      // For other ids, too. Only root may enter the folders above.
      await mkdir(image, { mode: 0o755 });
      // Others are made by the thread that decrypts them. A file of known size gets huge pages, which are written faster.
      const made = Object.entries(manifest.parts).filter(
        ([name, { sizeBytes }]) => isMemory(name) || sizeBytes === 0 || sizeBytes > blockBytes,
      );
      await Promise.all(made.map(async ([name, { sizeBytes }]) => await makeFile(join(image, name), sizeBytes)));
      await decryptParts(from, key, image, (name) => !isMemory(name));
      pagesChecked = decryptParts(from, key, image, isNow);
    }
    // A restore that fails earlier does not await this promise. It must not become an unhandled rejection then.
    pagesChecked.catch(() => undefined);
  } catch (error) {
    clear.drop(folder);
    throw error instanceof SoulBoxError ? error : noMemory(`Checkpoint "${manifest.stateId}"`, error);
  }
  const end = pagesChecked;
  return {
    directory: key === undefined ? from.directory : join(folder, 'image'),
    scratch,
    digests: from.digestsOf((name) => kinds.isLate(name)),
    pagesChecked,
    async [Symbol.asyncDispose]() {
      await end.catch(() => undefined);
      clear.drop(folder);
    },
  };
}

async function makeFile(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.truncate(sizeBytes);
    await file.chmod(mode);
  } finally {
    await file.close();
  }
}

async function decryptParts(
  { manifest: { stateId, parts }, directory, digester }: Revealing,
  key: Uint8Array,
  image: string,
  isMeant: (partName: string) => boolean,
): Promise<void> {
  const meant = Object.entries(parts).filter(([name]) => isMeant(name));
  await forEachAtOnce(partsAtOnce, meant, async ([name, { sizeBytes, digests }]) => {
    const cipher = partCipher(key, stateId, name);
    const copy = { path: join(directory, name), target: join(image, name), sizeBytes, cipher };
    await decryptPart(`${name} of checkpoint "${stateId}"`, copy, digests, digester, mode);
  });
}
