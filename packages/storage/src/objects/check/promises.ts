import { createHash } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { objectLimits } from '../object-store.ts';
import type { GetOptions, ObjectStore, PutOptions } from '../object-store.ts';
import { parseStorageUrl } from '../storage-url.ts';

export interface Subject {
  readonly store: ObjectStore;
  /** Of all keys. Nothing is below it yet. */
  readonly prefix: string;
  readonly signal: AbortSignal | undefined;
}

interface Promised {
  readonly id: string;
  readonly promise: string;
  /** Throws what is wrong. */
  readonly check: (subject: Subject) => Promise<void>;
}

/** What object stores promise, in the order in which it is tried. */
export const promises: readonly Promised[] = [
  { id: 'read', promise: 'what is written can be read, also 0 bytes', check: checkRead },
  { id: 'missing', promise: 'a missing object is distinguished from an empty one', check: checkMissing },
  { id: 'replace', promise: 'a write replaces the object and gives it a new version', check: checkReplace },
  { id: 'range', promise: 'ranges of bytes can be read', check: checkRanges },
  { id: 'parts', promise: 'large objects are uploaded in parts, and read back unchanged', check: checkParts },
  { id: 'create', promise: 'of writes that only create, one succeeds', check: checkCreate },
  { id: 'match', promise: 'writes on condition of a version fail when it has changed', check: checkMatch },
  { id: 'create-parts', promise: 'conditions hold for uploads in parts too', check: checkPartsCondition },
  { id: 'pinned', promise: 'a read on condition of a version fails when it has changed', check: checkPinned },
  {
    id: 'verify',
    promise: 'an upload with a wrong size or digest, or that is aborted, leaves nothing',
    check: checkVerify,
  },
  { id: 'list', promise: 'lists are complete at once, sorted, in pages and by prefix', check: checkList },
  { id: 'folders', promise: 'lists combine keys into folders', check: checkFolders },
  { id: 'keys', promise: 'every legal key is kept as it is', check: checkKeys },
  { id: 'copy', promise: 'objects are copied within the store', check: checkCopy },
  { id: 'delete', promise: 'deleting works, and twice too', check: checkDelete },
  { id: 'sign-get', promise: 'signed URLs to read', check: checkSignGet },
  { id: 'sign-put', promise: 'signed URLs to write', check: checkSignPut },
];

function must(holds: boolean, fault: string): asserts holds {
  if (!holds) throw new Error(fault);
}

async function mustThrow(reason: Reason, fault: string, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof SoulBoxError && thrown.reason === reason) return;
    throw thrown;
  }
  throw new Error(fault);
}

/** Keys are relative to the prefix. */
function access({ store, prefix, signal }: Subject) {
  return {
    put: (key: string, content: string | Uint8Array | AsyncIterable<Uint8Array>, options: PutOptions = {}) =>
      store.put(prefix + key, typeof content === 'string' ? Buffer.from(content) : content, { signal, ...options }),
    read: async (key: string, options: GetOptions = {}): Promise<string> => {
      const { body } = await store.get(prefix + key, { signal, ...options });
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    },
    exists: async (key: string): Promise<boolean> => (await store.stat(prefix + key, { signal })) !== undefined,
  };
}

async function checkRead(subject: Subject): Promise<void> {
  const { put, read } = access(subject);
  const { sizeBytes } = await put('a', 'some content');
  must(sizeBytes === 12, 'The size of a written object is wrong.');
  must((await read('a')) === 'some content', 'Other bytes are read than were written.');
  await put('empty', '');
  must((await read('empty')) === '', 'An empty object is not empty.');
  const found = await subject.store.stat(`${subject.prefix}a`, { signal: subject.signal });
  must(found?.sizeBytes === 12, 'The size of an object is wrong.');
  const skewMs = Math.abs(Date.now() - found.modifiedAt.getTime());
  must(skewMs < 15 * 60_000, `The clocks of this host and of the store differ by ${Math.round(skewMs / 1000)} s.`);
}

async function checkMissing(subject: Subject): Promise<void> {
  const { put, read, exists } = access(subject);
  await put('a/b', 'x');
  must(!(await exists('a')), 'An object is found that was not written.');
  await mustThrow('storage_not_found', 'An object can be read that was not written.', read('a'));
}

async function checkReplace(subject: Subject): Promise<void> {
  const { put, read } = access(subject);
  const first = await put('a', 'old');
  const second = await put('a', 'new');
  must((await read('a')) === 'new', 'The old content is read after it was replaced.');
  must(first.version !== second.version, 'Both versions have the same name.');
  const found = await subject.store.stat(`${subject.prefix}a`, { signal: subject.signal });
  must(found?.version === second.version, 'A written object has another version than it was given.');
}

async function checkRanges(subject: Subject): Promise<void> {
  const { put, read } = access(subject);
  await put('a', 'abcdefghij');
  await put('empty', '');
  const cases = [
    ...([['a', 2, 3, 'cde'] as const, ['a', 0, 1, 'a'] as const, ['a', 8, 100, 'ij'] as const] as const),
    ...([['a', 10, 5, ''] as const, ['a', 1000, 5, ''] as const, ['a', 3, 0, ''] as const] as const),
    ['empty', 0, 5, ''] as const,
  ];
  for (const [key, offset, length, expected] of cases) {
    const found = await read(key, { range: { offset, length } });
    must(found === expected, `The range ${offset}+${length} of 10 bytes is wrong: ${JSON.stringify(found)}.`);
  }
}

/** More than one part, by a stream. */
const largeBytes = 9 * 1024 * 1024;

function* largeContent(): Generator<Uint8Array> {
  const step = 128 * 1024;
  for (let offset = 0; offset < largeBytes; offset += step) yield Buffer.alloc(step, `block ${offset}.`);
}

async function* largeStream(): AsyncGenerator<Uint8Array> {
  for (const chunk of largeContent()) {
    await Promise.resolve();
    yield chunk;
  }
}

function largeDigest(): string {
  const hash = createHash('sha256');
  for (const chunk of largeContent()) hash.update(chunk);
  return hash.digest('hex');
}

async function checkParts(subject: Subject): Promise<void> {
  const { put } = access(subject);
  const sha256 = largeDigest();
  const written = await put('a', largeStream(), { sha256, sizeBytes: largeBytes });
  must(written.sizeBytes === largeBytes, 'The size of an object in parts is wrong.');
  const { body } = await subject.store.get(`${subject.prefix}a`, { sha256, signal: subject.signal });
  let received = 0;
  for await (const chunk of body) received += chunk.length;
  must(received === largeBytes, 'An object in parts is not complete.');
}

async function checkCreate(subject: Subject): Promise<void> {
  const { put, read } = access(subject);
  const tries = ['1', '2', '3', '4'].map((text) => put('a', text, { condition: 'absent' }));
  const outcomes = await Promise.allSettled(tries);
  const won = outcomes.flatMap(({ status }, index) => (status === 'fulfilled' ? [String(index + 1)] : []));
  must(won.length > 0, 'No write that only creates succeeds.');
  must(won.length === 1, 'Two writes that only create succeed: two servers would overwrite each other.');
  must((await read('a')) === won[0], 'The content is not that of the write that succeeded.');
  const again = put('a', '5', { condition: 'absent' });
  await mustThrow('storage_precondition_failed', 'A write that only creates replaces an object.', again);
}

async function checkMatch(subject: Subject): Promise<void> {
  const { put, read } = access(subject);
  const { version } = await put('a', 'old');
  await put('a', 'new', { condition: { version } });
  const stale = put('a', 'lost', { condition: { version } });
  await mustThrow('storage_precondition_failed', 'A write replaces a version that it does not know.', stale);
  must((await read('a')) === 'new', 'A write that failed has changed the object.');
  const missing = put('b', 'x', { condition: { version } });
  await mustThrowAny(['storage_precondition_failed', 'storage_not_found'], 'A missing object has a version.', missing);
}

async function mustThrowAny(reasons: readonly Reason[], fault: string, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof SoulBoxError && reasons.includes(thrown.reason)) return;
    throw thrown;
  }
  throw new Error(fault);
}

async function checkPartsCondition(subject: Subject): Promise<void> {
  const { put, read } = access(subject);
  const { version } = await put('a', 'first');
  const create = put('a', largeStream(), { condition: 'absent' });
  await mustThrow('storage_precondition_failed', 'An upload that only creates replaces an object.', create);
  await put('a', 'second');
  const stale = put('a', largeStream(), { condition: { version } });
  await mustThrow('storage_precondition_failed', 'An upload replaces a version that it does not know.', stale);
  must((await read('a')) === 'second', 'An upload that failed has changed the object.');
}

async function checkPinned(subject: Subject): Promise<void> {
  const { put, read } = access(subject);
  const { version } = await put('a', 'old');
  must((await read('a', { version })) === 'old', 'The version of an object cannot be read.');
  await put('a', 'new');
  await mustThrow('storage_precondition_failed', 'Another version is read than the given one.', read('a', { version }));
}

async function checkVerify(subject: Subject): Promise<void> {
  const { put, exists } = access(subject);
  await mustThrow('storage_damaged', 'A wrong size is accepted.', put('a', 'abc', { sizeBytes: 4 }));
  const wrong = put('a', largeStream(), { sha256: '0'.repeat(64) });
  await mustThrow('storage_damaged', 'A wrong digest is accepted.', wrong);
  const abort = new AbortController();
  const halfway = async function* (): AsyncGenerator<Uint8Array> {
    yield* largeStream();
    abort.abort(new Error('halfway'));
    yield Buffer.alloc(1);
  };
  const aborted = await put('a', halfway(), { signal: abort.signal }).catch((thrown: unknown) => thrown);
  must(aborted instanceof Error && aborted.message === 'halfway', 'An aborted upload does not end with its reason.');
  must(!(await exists('a')), 'An upload that failed has left an object.');
}

async function checkList(subject: Subject): Promise<void> {
  const { put } = access(subject);
  const { store, prefix, signal } = subject;
  const keys = ['a', 'a-b', 'a/1', 'a/2', 'a0', 'b', 'ba/1', 'é', 'ﬀ'];
  for (const key of keys.toReversed()) await put(key, key);
  const listAll = async (start: string): Promise<string[]> => {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.list({
        prefix: prefix + start,
        limit: 3,
        signal,
        ...(cursor === undefined ? {} : { cursor }),
      });
      must(page.objects.length <= 3, 'A page is longer than asked for.');
      found.push(...page.objects.map(({ key }) => key.slice(prefix.length)));
      cursor = page.cursor;
    } while (cursor !== undefined && found.length < 100);
    return found;
  };
  mustEqual(await listAll(''), keys);
  mustEqual(await listAll('a/'), ['a/1', 'a/2']);
  mustEqual(await listAll('a'), ['a', 'a-b', 'a/1', 'a/2', 'a0']);
  mustEqual(await listAll('none'), []);
  await store.delete(`${prefix}a`, { signal });
  mustEqual(await listAll('a'), ['a-b', 'a/1', 'a/2', 'a0']);
}

function mustEqual(found: readonly string[], expected: readonly string[]): void {
  must(found.join('\n') === expected.join('\n'), `Listed: ${found.join(' ')}. Expected: ${expected.join(' ')}.`);
}

async function checkFolders(subject: Subject): Promise<void> {
  const { put } = access(subject);
  const { store, prefix, signal } = subject;
  for (const key of ['a', 'a/1', 'a/b/2', 'b/3', 'c']) await put(key, key);
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({
      ...{ prefix, limit: 2, combinesFolders: true, signal },
      ...(cursor === undefined ? {} : { cursor }),
    });
    found.push(...[...page.objects.map(({ key }) => key), ...page.folders].map((key) => key.slice(prefix.length)));
    cursor = page.cursor;
  } while (cursor !== undefined && found.length < 100);
  mustEqual(found.sort(), ['a', 'a/', 'b/', 'c']);
}

/** Printable ASCII but slash and backslash, and characters of 2, 3 and 4 bytes. */
const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).filter(
  (c) => c !== '/' && c !== '\\',
);
const strangeKeys = [
  `x${printable.slice(0, 48).join('')}x`,
  `x${printable.slice(48).join('')}x`,
  ...['%2F', 'a b', 'a+b', '+', '%', '?x=1#y', '.hidden', 'a./b', 'folder/', 'ü/日本/😀', ' x', '\'"&<>'],
  'long-'.repeat(40),
];

/** Of the length that is the limit, in parts that a folder on disk can have. */
function longestKey({ store, prefix }: Subject): string {
  const bytes = objectLimits.keyBytes - Buffer.byteLength(parseStorageUrl(store.url).prefix + prefix);
  return `${'x'.repeat(63)}/`.repeat(bytes / 64 - 1) + 'x'.repeat(64 + (bytes % 64));
}

async function checkKeys(subject: Subject): Promise<void> {
  const { put, read } = access(subject);
  const { store, prefix, signal } = subject;
  const keys = [...strangeKeys, longestKey(subject)];
  for (const key of keys) {
    await put(key, key);
    must((await read(key)) === key, `The object ${JSON.stringify(key)} cannot be read.`);
  }
  const { objects } = await store.list({ prefix, signal });
  mustEqual(objects.map(({ key }) => key.slice(prefix.length)).sort(), keys.toSorted());
}

async function checkCopy(subject: Subject): Promise<void> {
  const { put, read } = access(subject);
  const { store, prefix, signal } = subject;
  await put('a b+c%/ü', 'content');
  const { sizeBytes, version } = await store.copy(`${prefix}a b+c%/ü`, `${prefix}copy`, { signal });
  must(sizeBytes === 7 && (await read('copy')) === 'content', 'A copy has other bytes.');
  const found = await store.stat(`${prefix}copy`, { signal });
  must(found?.version === version, 'A copy has another version than it was given.');
  await mustThrow(
    'storage_not_found',
    'A missing object can be copied.',
    store.copy(`${prefix}none`, `${prefix}b`, { signal }),
  );
}

async function checkDelete(subject: Subject): Promise<void> {
  const { put, exists } = access(subject);
  const { store, prefix, signal } = subject;
  await put('a', '1');
  await put('a/b', '2');
  await store.delete(`${prefix}a`, { signal });
  await store.delete(`${prefix}a`, { signal });
  must(!(await exists('a')), 'A deleted object is still there.');
  must(await exists('a/b'), 'Another object was deleted too.');
}

const httpTimeoutMs = 30_000;

async function checkSignGet(subject: Subject): Promise<void> {
  const { put } = access(subject);
  const { store, prefix, signal } = subject;
  await put('a b+ü', 'signed');
  const url = await store.signGet(`${prefix}a b+ü`, { expiresSeconds: 300, signal });
  const response = await fetch(url, { signal: AbortSignal.timeout(httpTimeoutMs) });
  must(response.status === 200, `A signed URL gives status ${response.status}.`);
  must((await response.text()) === 'signed', 'A signed URL gives other bytes.');
}

async function checkSignPut(subject: Subject): Promise<void> {
  const { read } = access(subject);
  const { store, prefix, signal } = subject;
  const { url, headers } = await store.signPut(`${prefix}a b+ü`, { expiresSeconds: 300, signal });
  const body = Buffer.from('by a stranger');
  const response = await fetch(url, { method: 'PUT', headers, body, signal: AbortSignal.timeout(httpTimeoutMs) });
  must(response.ok, `A signed URL to write gives status ${response.status}.`);
  must((await read('a b+ü')) === 'by a stranger', 'A signed URL has written other bytes.');
}
