import { expect, it } from 'vitest';
import { witnessList } from './witness-list.ts';

const key = 'witness.example+283095ee+BAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB';
/** The same key, for a log instead of a witness: its first byte is 1. */
const logKey = 'witness.example+d2e0ad4d+AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB';

it('is a list of URLs with verifier keys', () => {
  expect(witnessList.parse('')).toEqual([]);
  expect(witnessList.parse(`https://w.example/prefix/  ${key}`)).toEqual([{ url: 'https://w.example/prefix', key }]);
});

it.each([
  ['no key', 'https://w.example'],
  ['no URL', key],
  ['another protocol', `file:///etc/passwd ${key}`],
  ['a key whose id does not match', `https://w.example ${key.replace('283095ee', '283095ef')}`],
  ['the key of a log', `https://w.example ${logKey}`],
  ['a witness twice', `https://w.example ${key}, https://x.example ${key}`],
  ['too many', Array.from({ length: 9 }, (_, n) => `https://w${n}.example ${key}`).join(',')],
])('is refused with %s', (_what, text) => {
  expect(witnessList.safeParse(text).success).toBe(false);
});
