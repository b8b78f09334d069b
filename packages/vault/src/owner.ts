import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import type { SealedObjects } from './sealed-objects.ts';

/**
 * Which server writes below an id. Each start takes it over with a new word (`nonce`), on condition that the present one
 * is of an earlier start with the same data folder. So of two servers with copies of one folder, the first continues, and
 * a host that lost its disk and comes back must not touch what its successor has taken over.
 */
export interface OwnerWords {
  /** Of this start. */
  readonly nonce: string;
  /** Of earlier starts, any of which may be the last one that has reached the store. */
  readonly earlier: readonly string[];
}

const ownerSchema = z.object({ format: z.literal(1), nonce: z.string(), since: z.number() });

interface OwnerOptions {
  /** `keyOfRole(…, 'owner')`. */
  readonly key: Uint8Array;
  /** Of the object. Volumes have a word of their own, under their key, because their service gets no other key. */
  readonly name?: 'owner' | 'volumes/owner';
  readonly signal: AbortSignal;
}

export type Owner = z.infer<typeof ownerSchema> & { readonly version: string };

/** Undefined: nobody. Throws `storage_damaged` with the wrong key. */
export async function findOwner(objects: SealedObjects, options: OwnerOptions): Promise<Owner | undefined> {
  const found = await objects.get(options.name ?? 'owner', options);
  return found && { ...ownerSchema.parse(JSON.parse(found.plain.toString())), version: found.version };
}

/** Throws `storage_taken` if another server has the id. */
export async function claimOwner(objects: SealedObjects, words: OwnerWords, options: OwnerOptions): Promise<void> {
  const present = await findOwner(objects, options);
  if (present?.nonce === words.nonce) return;
  if (present !== undefined && !words.earlier.includes(present.nonce)) throw taken(objects.serverId);
  const owner = Buffer.from(JSON.stringify({ format: 1, nonce: words.nonce, since: Date.now() }));
  const condition = present === undefined ? 'absent' : { version: present.version };
  try {
    await objects.put(options.name ?? 'owner', owner, { ...options, condition });
  } catch (error) {
    if (error instanceof SoulBoxError && error.reason === 'storage_precondition_failed') throw taken(objects.serverId);
    throw error;
  }
}

/** Throws `storage_taken` unless the start with this nonce still owns the id. */
export async function checkOwner(objects: SealedObjects, nonce: string, options: OwnerOptions): Promise<void> {
  if ((await findOwner(objects, options))?.nonce !== nonce) throw taken(objects.serverId);
}

function taken(serverId: string): SoulBoxError {
  return new SoulBoxError(
    'storage_taken',
    `Another server writes below servers/${serverId} of the object store: a copy of this data folder, or a host that was recovered from the store. This server uploads nothing more.`,
  );
}
