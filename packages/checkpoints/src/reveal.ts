import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { ClearCheckpoint, PartDigests, PartKinds } from './checkpoint-store.ts';
import type { ClearFolders } from './clear-folders.ts';
import { blockBytes } from './digests/digest-job.ts';
import type { Digester } from './digests/digester.ts';
import { forEachAtOnce } from './digests/for-each-at-once.ts';
import type { KeptCopies } from './kept-copies.ts';
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
  readonly kept: KeptCopies;
  readonly verify: (isMeant: (partName: string) => boolean) => Promise<void>;
  readonly digestsOf: (isMeant: (partName: string) => boolean) => PartDigests;
}

export async function revealCheckpoint(from: Revealing, kinds: PartKinds, isShared: boolean): Promise<ClearCheckpoint> {
  const { manifest, key, clear } = from;
  await using held = new AsyncDisposableStack();
  const folder = await clear.make(manifest.stateId);
  held.defer(() => clear.drop(folder));
  try {
    const scratch = join(folder, 'scratch');
    await mkdir(scratch, { mode: 0o700 });
    const isMemory = (name: string): boolean => kinds.isMemory(name);
    const isNow = (name: string): boolean => isMemory(name) && !kinds.isLate(name);
    const { directory, pagesChecked } =
      key === undefined
        ? await verifyParts(from, isMemory, isNow)
        : isShared
          ? held.use(await shareCopy(from, key, isMemory, isNow))
          : await decryptInto(join(folder, 'image'), from, key, isMemory, isNow);
    // Threads may still write into the folder.
    if (!isShared) held.defer(async () => await pagesChecked.catch(() => undefined));
    const kept = held.move();
    return {
      ...{ directory, scratch, pagesChecked },
      digests: from.digestsOf((name) => kinds.isLate(name)),
      [Symbol.asyncDispose]: async () => await kept.disposeAsync(),
    };
  } catch (error) {
    throw error instanceof SoulBoxError ? error : noMemory(`Checkpoint "${manifest.stateId}"`, error);
  }
}

interface Revealed {
  readonly directory: string;
  readonly pagesChecked: Promise<void>;
}

type IsMeant = (partName: string) => boolean;

async function verifyParts({ directory, verify }: Revealing, isMemory: IsMeant, isNow: IsMeant): Promise<Revealed> {
  await verify((name) => !isMemory(name));
  return { directory, pagesChecked: unhandled(verify(isNow)) };
}

/** A restore that fails earlier does not await this promise. It must not become an unhandled rejection then. */
function unhandled(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined);
  return promise;
}

/** Makes the folder `image`. */
async function decryptInto(
  image: string,
  from: Revealing,
  key: Uint8Array,
  isMemory: IsMeant,
  isNow: IsMeant,
): Promise<Revealed> {
  // For other ids, too. Only root may enter the folders above.
  await mkdir(image, { mode: 0o755 });
  // Others are made by the thread that decrypts them. A file of known size gets huge pages, which are written faster.
  const made = Object.entries(from.manifest.parts).filter(
    ([name, { sizeBytes }]) => isMemory(name) || sizeBytes === 0 || sizeBytes > blockBytes,
  );
  await Promise.all(made.map(async ([name, { sizeBytes }]) => await makeFile(join(image, name), sizeBytes)));
  await decryptParts(from, key, image, (name) => !isMemory(name));
  return { directory: image, pagesChecked: unhandled(decryptParts(from, key, image, isNow)) };
}

async function shareCopy(
  from: Revealing,
  key: Uint8Array,
  isMemory: IsMeant,
  isNow: IsMeant,
): Promise<Revealed & Disposable> {
  const { manifest, clear, kept } = from;
  const sizeBytes = Object.values(manifest.parts).reduce((sum, part) => sum + part.sizeBytes, 0);
  return await kept.share(manifest.stateId, key, async () => {
    const folder = await clear.make(manifest.stateId);
    try {
      return { folder, sizeBytes, ...(await decryptInto(join(folder, 'image'), from, key, isMemory, isNow)) };
    } catch (error) {
      clear.drop(folder);
      throw error;
    }
  });
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
