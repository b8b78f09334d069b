import { randomId, SoulBoxError } from '@soulbox/base';
import { holdHostRoom } from '@soulbox/contract/hold-host-room';
import type { BlobStream, KvEntry, KvLimits } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';

export interface NamespaceName {
  readonly teamId: string;
  readonly namespace: string;
}

interface NewValue extends Pick<KvEntry, 'key' | 'metadata' | 'expiresAt'> {
  /** As announced by the sender. Infinity: not announced. */
  readonly announcedBytes: number;
  readonly content: AsyncIterable<Uint8Array>;
}

interface Value extends Pick<KvEntry, 'sizeBytes' | 'metadata'> {
  readonly content: BlobStream;
}

/** The id of a team's namespace. Created when a function first uses it. Throws `limit_exceeded`. */
export async function openNamespace(context: FunctionsContext, { teamId, namespace }: NamespaceName): Promise<string> {
  const { records, config, clock } = context;
  const wanted = { id: randomId(20), teamId, name: namespace, createdAt: clock.now() };
  const found = await records.kv.ensureNamespace(wanted, config.kvNamespaceLimit);
  if (found !== undefined) return found.id;
  throw new SoulBoxError(
    'limit_exceeded',
    `The team has reached the maximum number of key-value namespaces (${config.kvNamespaceLimit}). Delete one.`,
  );
}

/**
 * Throws `body_too_large` for a value above the limit, `limit_exceeded` when the namespace or the team is full,
 * `disk_full`.
 */
export async function putValue(
  context: FunctionsContext,
  { teamId, namespace }: { readonly teamId: string; /** Its id. */ readonly namespace: string },
  value: NewValue,
): Promise<void> {
  const { blobs, config } = context;
  const { key, metadata, expiresAt } = value;
  const blobKey = `kv/${namespace}/${randomId(24)}`;
  const maxBytes = Math.min(value.announcedBytes, config.kvValueMaxBytes);
  using _share = arrive(context, teamId, maxBytes);
  using _room = await holdHostRoom(context.runner, { bytes: maxBytes, what: 'A value' });
  const { sizeBytes } = await blobs.put(blobKey, limited(value.content, maxBytes));
  const limits = { keys: config.kvKeyLimit, sizeBytes: config.kvNamespaceMaxBytes, teamBytes: context.teamKvBytes };
  const put = await noteValue(context, namespace, { key, blobKey, sizeBytes, metadata, expiresAt }, limits);
  if (put.done) {
    if (put.replaced !== undefined) await blobs.delete(put.replaced);
    return;
  }
  await blobs.delete(blobKey);
  if (put.why === 'gone')
    throw new SoulBoxError('namespace_not_found', 'The namespace was removed during the request.');
  if (put.why === 'team_full')
    throw new SoulBoxError(
      'limit_exceeded',
      `The key-value data of the team would exceed the limit of ${limits.teamBytes} bytes. Delete some.`,
    );
  throw new SoulBoxError(
    'limit_exceeded',
    `The namespace is full. It can hold ${limits.keys} keys and ${limits.sizeBytes} bytes.`,
  );
}

/**
 * Counts the announced bytes of a value. Uploads that never complete hold room on the host, but no more than the team
 * may have.
 */
function arrive({ arriving, teamKvBytes }: FunctionsContext, teamId: string, bytes: number): Disposable {
  const others = arriving.get(teamId) ?? 0;
  if (others > 0 && others + bytes > teamKvBytes)
    throw new SoulBoxError(
      'limit_exceeded',
      `The values that the team is writing now exceed ${teamKvBytes} bytes in total. Retry.`,
    );
  arriving.set(teamId, others + bytes);
  return {
    [Symbol.dispose]() {
      const left = (arriving.get(teamId) ?? 0) - bytes;
      if (left > 0) arriving.set(teamId, left);
      else arriving.delete(teamId);
    },
  };
}

/** Deletes a blob that cannot be recorded, because nothing would reference it. */
async function noteValue({ records, blobs }: FunctionsContext, namespace: string, entry: KvEntry, limits: KvLimits) {
  try {
    return await records.kv.put(namespace, entry, limits);
  } catch (error) {
    await blobs.delete(entry.blobKey);
    throw error;
  }
}

async function* limited(content: AsyncIterable<Uint8Array>, maxBytes: number): AsyncIterable<Uint8Array> {
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > maxBytes) throw new SoulBoxError('body_too_large', `A value can have at most ${maxBytes} bytes.`);
    yield chunk;
  }
}

export async function readValue(
  { records, blobs, clock }: FunctionsContext,
  namespace: string,
  key: string,
): Promise<Value | undefined> {
  // A write between the two reads deletes the blob. Then there is a newer one.
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const entry = await records.kv.get(namespace, key, clock.now());
    if (entry === undefined) return undefined;
    const content = await blobs.read(entry.blobKey);
    if (content !== undefined) return { content, sizeBytes: entry.sizeBytes, metadata: entry.metadata };
  }
  return undefined;
}

export async function deleteValue({ records, blobs }: FunctionsContext, namespace: string, key: string): Promise<void> {
  const blobKey = await records.kv.remove(namespace, key);
  if (blobKey !== undefined) await blobs.delete(blobKey);
}

export async function listValues(
  { records, clock }: FunctionsContext,
  namespace: string,
  query: { prefix: string; after: string | undefined; limit: number },
): Promise<KvEntry[]> {
  return await records.kv.list(namespace, { ...query, now: clock.now() });
}
