import { afterEach, expect, test, vi } from 'vitest';
import { printList } from './print-list.ts';
import { renderTable } from './table.ts';

afterEach(() => void vi.restoreAllMocks());

const fruits = [
  { name: 'fig', count: 3 },
  { name: 'watermelon', count: 12 },
];
const columns = { NAME: ({ name }: { name: string }) => name, COUNT: ({ count }: { count: number }) => count };

function printed(args: { json?: boolean }, entries = fruits): string {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  printList(entries, columns, args);
  return log.mock.calls.map(([text]) => String(text)).join('\n');
}

test('a list is a table with columns as wide as their widest cell', () => {
  expect(printed({})).toBe('NAME        COUNT\nfig         3\nwatermelon  12');
});

test('a list without entries still shows its headings', () => {
  expect(printed({}, [])).toBe('NAME  COUNT');
});

test('--json prints the entries unchanged', () => {
  expect(JSON.parse(printed({ json: true }))).toEqual(fruits);
});

test('at a terminal, the widest columns are cut to fit the window', () => {
  const rows = [['i2kxbq8m', 'x'.repeat(60), 'y'.repeat(30)]];
  const lines = renderTable(['ID', 'NAME', 'HOST'], rows, 50).split('\n');
  expect(lines[1]).toHaveLength(50);
  expect(lines[1]).toBe(`i2kxbq8m  ${'x'.repeat(18)}…  ${'y'.repeat(18)}…`);
  // A window that is too small for anything.
  expect(renderTable(['ID', 'NAME', 'HOST'], rows, 5).split('\n')[1]).toBe('i2kxbq8m  xxxxxxx…  yyyyyyy…');
});

test('a table can have more rows than a function can have arguments', () => {
  const rows = Array.from({ length: 130_000 }, () => ['a']);
  expect(renderTable(['ID'], rows, undefined).length).toBe('ID'.length + 2 * rows.length);
});
