import { describe, expect, test } from 'vitest';
import { fileSignature } from '@soulbox/contract';
import { createTestRouter } from '../testing/test-router.ts';
import { createSignatureSearch } from './signature-search.ts';

const file = { path: 'a.txt', operation: 'read', username: 'user', expiration: undefined } as const;
const wrong = fileSignature(file, 'nobody');

/** A router with the given number of sandboxes, one of them real. It counts searches. */
function world(tokens: number) {
  const router = createTestRouter();
  router.add('ione');
  let searches = 0;
  const clock = { value: 0, now: () => clock.value };
  const counting = {
    ...router,
    signatureTokens: () => tokens,
    findBySignature: (...args: Parameters<typeof router.findBySignature>) => {
      searches += 1;
      return router.findBySignature(...args);
    },
  };
  const search = createSignatureSearch(counting, clock);
  return { search, clock, searches: () => searches };
}

describe('the search for the sandbox of a signature', () => {
  test('finds the sandbox', () => {
    const { search } = world(1);
    expect(search.find({ file, signature: fileSignature(file, 'token-of-ione') }, '192.0.2.1')).toMatchObject({
      sandboxId: 'ione',
    });
    expect(search.find({ file, signature: wrong }, '192.0.2.1')).toBe('none');
  });

  test.each([
    ['a signature that is none', file, 'x'],
    ['a signature with more behind it', file, `${wrong}A`],
    ['a path of 31 KB', { ...file, path: 'a'.repeat(31_000) }, wrong],
    ['a user of 31 KB', { ...file, username: 'a'.repeat(31_000) }, wrong],
    ['a time of 31 KB', { ...file, expiration: '1'.repeat(31_000) }, wrong],
  ])('tries no token for %s', (_name, asked, signature) => {
    const { search, searches } = world(1);
    expect(search.find({ file: asked, signature }, '192.0.2.1')).toBe('none');
    expect(searches()).toBe(0);
  });

  test('tries a limited number of tokens per address and in total, and continues a moment later', () => {
    const { search, clock, searches } = world(11_000);
    const ask = (address: string) => search.find({ file, signature: wrong }, address);
    const first = Array.from({ length: 50 }, () => ask('192.0.2.1'));
    expect(first.filter((found) => found === 'none')).toHaveLength(2);
    expect(first.at(-1)).toBe('later');
    expect(ask('192.0.2.2')).toBe('none');
    for (let n = 0; n < 100; n++) ask(`198.51.100.${n}`);
    expect(searches()).toBe(3);
    clock.value = 1000;
    expect(ask('192.0.2.1')).toBe('none');
    clock.value = 10_000;
    for (let n = 0; n < 100; n++) ask('2001:db8::1');
    for (let n = 0; n < 100; n++) ask(`2001:db8::2:${n}`);
    expect(searches()).toBe(3 + 1 + 2);
  });
});
