import { expect, test } from 'vitest';
import { parseRedisUrl } from './redis-url.ts';

test('the parts of a URL', () => {
  expect(parseRedisUrl('rediss://cache.example:7000/3')).toEqual({
    ...{ host: 'cache.example', port: 7000, usesTls: true, database: 3 },
  });
  expect(parseRedisUrl('redis://127.0.0.1')).toEqual({ host: '127.0.0.1', port: 6379, usesTls: false, database: 0 });
  expect(parseRedisUrl('redis://[::1]:1/').host).toBe('::1');
  expect(parseRedisUrl('redis://far.example?insecure=true').usesTls).toBe(false);
});

test.each([
  'cache.example:6379',
  'http://cache.example',
  'redis://',
  'redis://far.example',
  'rediss://user:password@cache.example',
  'rediss://cache.example/x',
  'rediss://cache.example/1/2',
  'rediss://cache.example?password=x',
  'rediss://cache.example#x',
  `rediss://${'a'.repeat(2000)}`,
])('%s is refused, without what may be a secret', (text) => {
  expect(() => parseRedisUrl(text)).toThrow(expect.objectContaining({ reason: 'config_invalid' }) as Error);
  try {
    parseRedisUrl(text);
  } catch (error) {
    expect((error as Error).message).not.toContain('password=x');
  }
});
