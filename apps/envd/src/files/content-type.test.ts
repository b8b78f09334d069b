import { expect, test } from 'vitest';
import { contentDisposition, contentType } from './content-type.ts';

test.each([
  ['a.html', 'text/html; charset=utf-8'],
  ['a.json', 'application/json'],
  ['a.png', 'image/png'],
])('%s has the type of its extension', async (name, type) => {
  expect(await contentType(name, Buffer.alloc(0))).toBe(type);
});

test.each([
  ['hello\n', 'text/plain; charset=utf-8'],
  ['', 'text/plain; charset=utf-8'],
  ['a\0b', 'application/octet-stream'],
  ['%PDF-1.7', 'application/pdf'],
])('the bytes %j decide if the name has no known type', async (bytes, type) => {
  expect(await contentType('README', Buffer.from(bytes))).toBe(type);
});

test.each([
  ['a.txt', 'inline; filename=a.txt'],
  ['a "b".txt', 'inline; filename="a \\"b\\".txt"'],
  ['ä\n.txt', "inline; filename*=utf-8''%C3%A4%0A.txt"],
])('the name %j is sent as %s', (name, header) => {
  expect(contentDisposition(name)).toBe(header);
});
