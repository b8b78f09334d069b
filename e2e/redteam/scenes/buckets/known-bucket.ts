import { randomBytes } from 'node:crypto';
import type { Sandbox } from 'e2b';
import { publicAddress } from '../../addresses.ts';
import type { World } from '../../world.ts';
import { callForJson } from '../call-api.ts';

/** The store of e2e/fixtures/hostile-store.mjs. */
export const storeUrl = `http://${publicAddress}:8333`;

export interface NewBucket {
  readonly url: string;
  readonly credentials?: Readonly<Record<string, string>>;
  /** By default the attacker's. */
  readonly apiKey?: string;
}

/** Makes a bucket known while `use` lasts. Its name is a word that no other text has. */
export async function withBucket<T>(
  world: World,
  { apiKey = world.target.apiKey, ...bucket }: NewBucket,
  use: (name: string, id: string) => Promise<T>,
): Promise<T> {
  const name = `redteam-${randomBytes(6).toString('hex')}`;
  const { bucketID = '' } = await callForJson(world, apiKey, ['POST', '/buckets'], { name, ...bucket });
  try {
    return await use(name, bucketID);
  } finally {
    await callForJson(world, apiKey, ['DELETE', `/buckets/${bucketID}`]);
  }
}

/** A sandbox with a bucket at /data. */
export async function withMounted<T>(
  world: World,
  mount: { readonly name: string; readonly prefix?: string },
  use: (sandbox: Sandbox) => Promise<T>,
): Promise<T> {
  const create = { bucketMounts: [{ path: '/data', ...mount }] };
  return await world.withPolicy({}, use, { create });
}
