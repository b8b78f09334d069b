import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { ClearCopy, KeptCopies } from './kept-copies.ts';
import { createKeptCopies } from './kept-copies.ts';

const key = Buffer.alloc(32, 1);
const mib = 2 ** 20;

let dropped: string[];
let made: number;
let copies: KeptCopies;
beforeEach(() => {
  vi.useFakeTimers();
  [dropped, made] = [[], 0];
  copies = createKeptCopies({ drop: (path) => void dropped.push(path) });
});
afterEach(() => vi.useRealTimers());

const make =
  (name: string, more: Partial<ClearCopy> = {}) =>
  async (): Promise<ClearCopy> => {
    made += 1;
    const folder = `${name}${made}`;
    return await Promise.resolve({
      folder,
      directory: folder,
      sizeBytes: mib,
      pagesChecked: Promise.resolve(),
      ...more,
    });
  };
const settled = async (): Promise<void> => void (await vi.advanceTimersByTimeAsync(0));

test('restores at once share a copy, which stays ten seconds after the last of them', async () => {
  const [one, other] = await Promise.all([copies.share('s', key, make('a')), copies.share('s', key, make('a'))]);
  expect([one.folder, other.folder]).toEqual(['a1', 'a1']);
  one[Symbol.dispose]();
  one[Symbol.dispose]();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(dropped).toEqual([]);
  other[Symbol.dispose]();
  await vi.advanceTimersByTimeAsync(9000);
  const third = await copies.share('s', key, make('a'));
  expect(third.folder).toBe('a1');
  await vi.advanceTimersByTimeAsync(9000);
  third[Symbol.dispose]();
  expect(dropped).toEqual([]);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(dropped).toEqual(['a1']);
  expect((await copies.share('s', key, make('a'))).folder).toBe('a2');
});

test('a copy of other content under the same id is not used', async () => {
  const one = await copies.share('s', key, make('a'));
  const other = await copies.share('s', Buffer.alloc(32, 2), make('a'));
  expect(other.folder).toBe('a2');
  expect(dropped).toEqual([]);
  one[Symbol.dispose]();
  await settled();
  expect(dropped).toEqual(['a1']);
  other[Symbol.dispose]();
  expect((await copies.share('s', Buffer.alloc(32, 2), make('a'))).folder).toBe('a2');
});

test('the copy of a removed checkpoint goes at once, or with its last user', async () => {
  const idle = await copies.share('idle', key, make('idle'));
  idle[Symbol.dispose]();
  const used = await copies.share('used', key, make('used'));
  for (const id of ['idle', 'used', 'unknown']) copies.forget(id);
  await settled();
  expect(dropped).toEqual(['idle1']);
  used[Symbol.dispose]();
  await settled();
  expect(dropped).toEqual(['idle1', 'used2']);
});

test('a copy that could not be made, or whose pages do not match, is not used again', async () => {
  const failed = async (): Promise<ClearCopy> => await Promise.reject(new Error('no memory'));
  const both = await Promise.allSettled([copies.share('s', key, failed), copies.share('s', key, failed)]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  const pagesChecked = Promise.reject(new Error('altered'));
  const damaged = await copies.share('s', key, make('a', { pagesChecked }));
  await expect(damaged.pagesChecked).rejects.toThrow('altered');
  const next = await copies.share('s', key, make('a'));
  expect(next.folder).toBe('a2');
  damaged[Symbol.dispose]();
  await settled();
  expect(dropped).toEqual(['a1']);
});

test('idle copies are limited: the oldest go first, and one that is too large goes at once', async () => {
  const sizeBytes = 6 * mib;
  const count = 50;
  for (let number = 1; number <= count; number++)
    (await copies.share(`s${number}`, key, make('a', { sizeBytes })))[Symbol.dispose]();
  await settled();
  expect(dropped.length).toBeGreaterThan(5);
  expect(dropped.length).toBeLessThan(count);
  expect(dropped).toEqual(dropped.map((_, index) => `a${index + 1}`));
  copies.dropIdle();
  await settled();
  expect(dropped).toHaveLength(count);
  (await copies.share('large', key, make('large', { sizeBytes: 2 ** 40 })))[Symbol.dispose]();
  await settled();
  expect(dropped.at(-1)).toBe(`large${count + 1}`);
});

test('nothing is removed while threads write into it, and the end waits for that', async () => {
  const checked = Promise.withResolvers<undefined>();
  const used = await copies.share('s', key, make('a', { pagesChecked: checked.promise }));
  used[Symbol.dispose]();
  const end = copies[Symbol.asyncDispose]();
  await settled();
  expect(dropped).toEqual([]);
  checked.resolve(undefined);
  await end;
  expect(dropped).toEqual(['a1']);
});
