import { expect, test } from 'vitest';
import { Secret } from '@soulbox/base';
import { maskText } from './message-headers.ts';
import type { RuleHeaders } from './rule-headers.ts';

test('of a value that begins with another value, nothing stays readable', () => {
  const secrets = ['abcdefgh', 'abcdefghXYZ'].map((text) => new Secret(text));
  expect(maskText('got abcdefghXYZ and abcdefgh', { secrets } as unknown as RuleHeaders)).toBe(
    `got ${'*'.repeat(11)} and ${'*'.repeat(8)}`,
  );
});
