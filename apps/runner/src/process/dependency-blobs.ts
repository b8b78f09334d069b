import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { isNodeError, removeTree, Secret, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { sealBlobs } from '@soulbox/keyring';
import type { Keyring } from '@soulbox/keyring';
import { openDiskBlobs } from '@soulbox/storage';
import type { BlobStore, DiskReserve } from '@soulbox/storage';

/** The root key, encrypted by the runner's keyring. */
const fileSchema = z.object({ id: z.string().regex(/^[0-9a-f]{32}$/), sealed: z.string() });
const keyBytes = 32;
const place = { table: 'runner', row: 'dependencies', field: 'key', team: '' };

export interface DependencyBlobsOptions {
  readonly dataDirectory: string;
  readonly keyring: Pick<Keyring, 'open' | 'seal'>;
  readonly reserve: Pick<DiskReserve, 'spend'>;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
}

/**
 * The blobs of the dependency cache, encrypted (decision 050) under a root key of their own. They are a cache: when the
 * key is missing, damaged or of another data folder, and after the upgrade from a version that stored them readable,
 * everything is removed and a new key is made.
 */
export async function openDependencyBlobs(options: DependencyBlobsOptions): Promise<BlobStore> {
  const { dataDirectory } = options;
  // Incomplete archives of earlier versions, which were readable.
  await removeTree(join(dataDirectory, 'dependencies-new'));
  const blobs = await openDiskBlobs({ directory: join(dataDirectory, 'dependencies') });
  try {
    const root = await openRoot(blobs, options);
    return sealBlobs(blobs, { store: 'dependencies', root, mayBeReadable: false });
  } catch (error) {
    await blobs[Symbol.asyncDispose]();
    throw error;
  }
}

async function openRoot(
  blobs: BlobStore,
  { dataDirectory, keyring, reserve, logger }: DependencyBlobsOptions,
): Promise<{ readonly id: string; readonly key: Buffer }> {
  const path = join(dataDirectory, 'dependencies-key.json');
  const stored = await readStored(path);
  if (stored !== undefined) {
    try {
      const key = Buffer.from((await keyring.open(stored.sealed, place)).reveal(), 'base64');
      if (key.length === keyBytes) return { id: stored.id, key };
    } catch (error) {
      if (!(error instanceof SoulBoxError)) throw error;
      logger.warn({ err: error }, 'key of the cached dependencies cannot be opened');
    }
  }
  const removed = await blobs.list('');
  for (const { key } of removed) await blobs.delete(key);
  if (removed.length > 0) logger.info({ count: removed.length }, 'cached dependencies without a key removed');
  const id = randomBytes(16).toString('hex');
  const key = randomBytes(keyBytes);
  const sealed = await keyring.seal(new Secret(key.toString('base64')), place);
  await reserve.spend(async () => {
    await writeFileAtomic(path, `${JSON.stringify({ id, sealed })}\n`, { durable: true });
  });
  return { id, key };
}

/** Undefined: there is none, or it is damaged. */
async function readStored(path: string): Promise<z.infer<typeof fileSchema> | undefined> {
  try {
    return fileSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data;
  } catch (error) {
    if (error instanceof SyntaxError || (isNodeError(error) && error.code === 'ENOENT')) return undefined;
    throw error;
  }
}
