import { expect, test } from 'vitest';
import { parsePlace, parseSourceName } from './place.ts';

test.each([
  ['-', { at: 'standard' }],
  ['a/b', { at: 'host', path: 'a/b' }],
  ['./a:b', { at: 'host', path: './a:b' }],
  ['/a:b', { at: 'host', path: '/a:b' }],
  ['i2kx:/a b\nc', { at: 'sandbox', sandboxId: 'i2kx', path: '/a b\nc' }],
  ['i2kx:a:b', { at: 'sandbox', sandboxId: 'i2kx', path: 'a:b' }],
  ['i2kx:', { at: 'sandbox', sandboxId: 'i2kx', path: '~' }],
])('%j names %j', (text, place) => {
  expect(parsePlace(text)).toEqual(place);
});

test.each(['', `i2kx:${'x'.repeat(4096)}`])('%j is refused', (text) => {
  expect(() => parsePlace(text)).toThrow('A path');
});

test.each([
  ['/a/b', { path: '/a/b', name: 'b', isContents: false, isFolder: false }],
  ['/a/b/', { path: '/a/b', name: 'b', isContents: false, isFolder: true }],
  ['/a/b/.', { path: '/a/b', name: 'b', isContents: true, isFolder: true }],
  ['.', { path: '.', name: '.', isContents: true, isFolder: true }],
  ['./', { path: '.', name: '.', isContents: true, isFolder: true }],
  ['/', { path: '/', name: '', isContents: true, isFolder: true }],
  ['~', { path: '~', name: '~', isContents: true, isFolder: true }],
  ['..', { path: '..', name: '..', isContents: true, isFolder: true }],
  ['.hidden', { path: '.hidden', name: '.hidden', isContents: false, isFolder: false }],
])('the source %j is %j', (text, name) => {
  expect(parseSourceName(text)).toEqual(name);
});
