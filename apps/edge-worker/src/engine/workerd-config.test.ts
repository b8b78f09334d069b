import { expect, test } from 'vitest';
import { quoted, workerdConfig } from './workerd-config.ts';

test.each([
  ['plain text', '"plain text"'],
  ['"); evil = (', '"\\x22); evil = ("'],
  ['a\\b\n\t\0', '"a\\x5cb\\x0a\\x09\\x00"'],
  ['ä€', '"\\xc3\\xa4\\xe2\\x82\\xac"'],
])('%j is quoted so that it stays one string', (text, expected) => {
  expect(quoted(text)).toBe(expected);
});

test('no name given by a tenant can break out of its quotes', () => {
  const evil = '"),(name="x",text="';
  const config = workerdConfig(
    {
      ...{ kind: 'workers', source: evil, variables: { A: evil, B: `${evil}\n` }, kvBindings: ['KV'] },
      ...{ requestTimeoutMs: 1, memoryMb: 64, maxBodyBytes: 1, compatibilityDate: evil, compatibilityFlags: [evil] },
    },
    { folder: '/r', requests: '/r/requests.sock', ping: '/r/ping.sock', kv: new Map([['KV', '/r/kv0.sock']]) },
    '/r/function.js',
  );
  expect(config).not.toContain(evil);
  expect(config).toContain('(name = "A", text = "\\x22),(name=\\x22x\\x22,text=\\x22")');
  expect(config).toContain('(name = "KV", kvNamespace = "kv0")');
});
