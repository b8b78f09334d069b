import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, SoulBoxError } from '@soulbox/base';
import type { ClearCheckpoint, PartDigests, PartKinds } from './checkpoint-store.ts';
import type { ClearFolders } from './clear-folders.ts';
import type { Digester } from './digests/digester.ts';
import { forEachAtOnce } from './digests/for-each-at-once.ts';
import type { Manifest } from './manifest.ts';
import { decryptPart, noMemory } from './sealing/decrypt-part.ts';
import { partCipher } from './digests/part-cipher.ts';

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
      // A restore may read it with other ids. Only root may enter the folders above.
      await mkdir(image, { mode: 0o755 });
      await forEachAtOnce(64, Object.entries(manifest.parts), async ([name, { sizeBytes }]) => {
        await makeFile(join(image, name), sizeBytes);
      });
      await decryptParts(from, key, image, (name) => !isMemory(name));
      pagesChecked = decryptParts(from, key, image, isNow);
    }
    // A restore that fails earlier does not await this promise. It must not become an unhandled rejection then.
    pagesChecked.catch(() => undefined);
  } catch (error) {
    await removeTree(folder);
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
      await removeTree(folder);
    },
  };
}

async function makeFile(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'wx', 0o644);
  try {
    await file.truncate(sizeBytes);
    await file.chmod(0o644);
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
  await forEachAtOnce(digester.threadCount, meant, async ([name, { sizeBytes, digests }]) => {
    const cipher = partCipher(key, stateId, name);
    const copy = { path: join(directory, name), target: join(image, name), sizeBytes, cipher };
    await decryptPart(`${name} of checkpoint "${stateId}"`, copy, digests, digester);
  });
}
