import { expect, test } from 'vitest';
import { localAddressOf, localUrlHostOf } from './local-address.ts';

test.each([
  ['127.0.0.1', '127.0.0.1', '127.0.0.1'],
  ['0.0.0.0', '127.0.0.1', '127.0.0.1'],
  ['::', '127.0.0.1', '127.0.0.1'],
  ['::1', '::1', '[::1]'],
  ['fd00::1', 'fd00::1', '[fd00::1]'],
  ['192.0.2.7', '192.0.2.7', '192.0.2.7'],
  ['host.example', 'host.example', 'host.example'],
])('a server on %s is reached at %s, in a URL %s', (host, address, urlHost) => {
  expect([localAddressOf(host), localUrlHostOf(host)]).toEqual([address, urlHost]);
  expect(new URL(`http://${urlHost}:8080`).host).toBe(`${urlHost}:8080`);
});
