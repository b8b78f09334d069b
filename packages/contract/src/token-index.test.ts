import { expect, test } from 'vitest';
import { createTokenIndex } from './token-index.ts';

test('a token finds its sandbox until the sandbox is removed', () => {
  const index = createTokenIndex();
  index.put('ia', 'token a');
  index.put('ib', 'token b');
  expect([index.find('token a'), index.find('token b'), index.find('token c')]).toEqual(['ia', 'ib', undefined]);
  index.remove('ia');
  expect([index.find('token a'), index.find('token b')]).toEqual([undefined, 'ib']);
  index.remove('ia');
});

test('a new token replaces the previous one', () => {
  const index = createTokenIndex();
  index.put('ia', 'first');
  index.put('ia', 'second');
  expect([index.find('first'), index.find('second')]).toEqual([undefined, 'ia']);
  index.put('ia', '');
  expect(index.find('second')).toBeUndefined();
});

test('an empty token belongs to no sandbox', () => {
  const index = createTokenIndex();
  index.put('ia', '');
  expect(index.find('')).toBeUndefined();
});
