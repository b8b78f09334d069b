import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, randomId, SoulBoxError, writeFileAtomic } from '@soulbox/base';
import { isServerId } from '@soulbox/vault';
import type { OwnerWords } from '@soulbox/vault';
import { z } from 'zod';

/** The place of a data folder in an object store. */
export interface StoragePlace {
  readonly serverId: string;
  readonly owner: OwnerWords;
}

const placeSchema = z.object({
  format: z.literal(1),
  serverId: z.string().refine(isServerId),
  /** Of all starts, the last one last. */
  nonces: z.array(z.string()).min(1),
});

/** Starts that have not reached the store since the last one that has. Each is 20 bytes. */
const noncesMax = 10_000;

export const storagePlaceIn = (dataDirectory: string): string => join(dataDirectory, 'storage.json');

/**
 * Makes the place of the next start, and writes it to the disk before anybody uses it. The first start gets an id of its
 * own. Throws `config_invalid` for a damaged file: another id would leave everything behind that is in the store.
 */
export async function openStoragePlace(dataDirectory: string): Promise<StoragePlace> {
  const path = storagePlaceIn(dataDirectory);
  const { serverId, nonces } = (await findPlace(path)) ?? { serverId: newServerId(), nonces: [] };
  const nonce = randomId(20);
  const earlier = nonces.slice(1 - noncesMax);
  await writePlace(dataDirectory, serverId, [...earlier, nonce]);
  return { serverId, owner: { nonce, earlier } };
}

/** For a data folder that was recovered: its first start takes the place over from the starts with these nonces. */
export async function inheritStoragePlace(
  dataDirectory: string,
  serverId: string,
  nonces: readonly string[],
): Promise<void> {
  await writePlace(dataDirectory, serverId, nonces);
}

async function writePlace(dataDirectory: string, serverId: string, nonces: readonly string[]): Promise<void> {
  const content = { format: 1, serverId, nonces };
  await writeFileAtomic(storagePlaceIn(dataDirectory), JSON.stringify(content), { durable: true });
}

function newServerId(): string {
  return randomId(20);
}

async function findPlace(path: string): Promise<z.infer<typeof placeSchema> | undefined> {
  try {
    return placeSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return undefined;
    if (isNodeError(error)) throw error;
    throw new SoulBoxError(
      'config_invalid',
      `${path} is damaged. It names the place of this data folder in the object store. Restore it, or remove it to begin at a new place.`,
      { cause: error },
    );
  }
}
