import { randomId } from '@soulbox/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { promises } from '../objects/check/promises.ts';
import type { ObjectStore } from '../objects/object-store.ts';

interface ObjectSuite {
  /** Opens the store with a prefix of its own below the configured one; empty or ending with `/`. */
  readonly open: (prefix: string) => Promise<ObjectStore>;
  /** Ids of promises that the store says it lacks. */
  readonly lacks?: readonly string[];
  /** Only these. Undefined: all. */
  readonly only?: readonly string[];
}

/** Tests for every object store: what `soulbox storage check` proves, and the limits of calls. */
export function describeObjects(name: string, { open, lacks = [], only }: ObjectSuite): void {
  describe(`objects in ${name}`, () => {
    let store: ObjectStore;
    beforeAll(async () => void (store = await open('')));
    afterAll(() => store[Symbol.asyncDispose]());

    for (const { id, promise, check } of promises) {
      if (only?.includes(id) === false) continue;
      test(`${promise}${lacks.includes(id) ? ': it says that it does not' : ''}`, async () => {
        const work = check({ store, prefix: `${randomId(8)}/`, signal: undefined });
        if (lacks.includes(id)) await expect(work).rejects.toMatchObject({ reason: 'storage_unsupported' });
        else await work;
      });
    }

    test('two prefixes do not see each other', async () => {
      const [one, other] = [randomId(8), randomId(8)];
      await using first = await open(`${one}/`);
      await using second = await open(`${other}/`);
      await first.put('a', Buffer.from('1'));
      expect(await second.stat('a')).toBeUndefined();
      expect((await second.list()).objects).toEqual([]);
      expect((await store.list({ prefix: one })).objects).toMatchObject([{ key: `${one}/a`, sizeBytes: 1 }]);
    });

    const refused = { reason: 'bad_request' };
    test.for(['', '/', '/a', 'a//b', '.', '..', 'a/../b', './a', 'a\0', 'a\nb', 'a\x7f', 'a\\b', '\ud800', 'a\uffff'])(
      'refuses the key %j',
      async (key) => {
        await expect(store.put(key, Buffer.of(1))).rejects.toMatchObject(refused);
        await expect(store.get(key)).rejects.toMatchObject(refused);
        await expect(store.stat(key)).rejects.toMatchObject(refused);
        await expect(store.delete(key)).rejects.toMatchObject(refused);
        await expect(store.copy(key, 'a')).rejects.toMatchObject(refused);
        await expect(store.copy('a', key)).rejects.toMatchObject(refused);
        await expect(store.signGet(key, { expiresSeconds: 1 })).rejects.toMatchObject(refused);
        await expect(store.signPut(key, { expiresSeconds: 1 })).rejects.toMatchObject(refused);
      },
    );

    test('refuses what is out of bounds', async () => {
      await expect(store.put('a'.repeat(1025), Buffer.of(1))).rejects.toMatchObject(refused);
      for (const limit of [0, 1001, 1.5]) await expect(store.list({ limit })).rejects.toMatchObject(refused);
      await expect(store.list({ prefix: 'a\n' })).rejects.toMatchObject(refused);
      await expect(store.list({ cursor: 'x'.repeat(9000) })).rejects.toMatchObject(refused);
      await expect(store.get('a', { range: { offset: -1, length: 1 } })).rejects.toMatchObject(refused);
      for (const expiresSeconds of [0, 604_801])
        await expect(store.signGet('a', { expiresSeconds })).rejects.toMatchObject(refused);
      const huge = store.put('a', Buffer.of(1), { sizeBytes: Number.MAX_SAFE_INTEGER });
      await expect(huge).rejects.toMatchObject({ reason: 'limit_exceeded' });
    });

    test('an aborted call rejects with the reason of its signal', async () => {
      const signal = AbortSignal.abort(new Error('enough'));
      const calls = [
        store.put('a', Buffer.of(1), { signal }),
        store.get('a', { signal }),
        store.stat('a', { signal }),
        store.delete('a', { signal }),
        store.list({ signal }),
        store.copy('a', 'b', { signal }),
      ];
      for (const call of calls) await expect(call).rejects.toThrow('enough');
      expect(await store.stat('a')).toBeUndefined();
    });

    test('a source that fails is the error of the upload, which leaves nothing', async () => {
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(100_000);
        await Promise.resolve();
        throw new Error('the source broke');
      };
      const key = randomId(8);
      await expect(store.put(key, broken())).rejects.toThrow('the source broke');
      expect(await store.stat(key)).toBeUndefined();
    });
  });
}
