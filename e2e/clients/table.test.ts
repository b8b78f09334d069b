import { expect, test } from 'vitest';
import { expectedOf, kindOf, parseTable, renderCell, withTable } from './table.ts';

const document = [
  '# Clients\n\n## `e2b`\n',
  '| step | what | TLS | plain |\n| --- | --- | --- | --- |',
  '| `create` | makes \\| it | all | to 2.0.0, 501 from 2.1.0 |\n',
  '## `other`\n\n| `create` | x | – | all |\n',
].join('\n');

test('a table is found by its package, and its cells are replaced step by step', () => {
  const table = parseTable(document, 'e2b');
  expect([...table]).toEqual([['create', { tls: 'all', plain: 'to 2.0.0, 501 from 2.1.0' }]]);
  const changed = withTable(document, 'other', new Map([['create', { tls: 'from 1.0.1', plain: '–' }]]));
  expect(parseTable(changed, 'other').get('create')).toEqual({ tls: 'from 1.0.1', plain: '–' });
  expect(parseTable(changed, 'e2b')).toEqual(table);
  expect(() => parseTable(document, 'third')).toThrow('no table for third');
});

test.each([
  ['all', ['works', 'works', 'works', 'works']],
  ['–', ['absent', 'absent', 'absent', 'absent']],
  ['to 2.0.0, 501 from 2.10.0', ['works', 'works', '501', '501']],
  ['2.0.0', ['absent', 'works', 'absent', 'absent']],
  ['fails 1.13.2 to 2.0.0', ['fails', 'fails', 'absent', 'absent']],
])('the cell "%s" means %j, and is written from it', (cell, kinds) => {
  const versions = ['1.13.2', '2.0.0', '2.10.0', '2.14.1'];
  expect(versions.map((version) => expectedOf(cell, version))).toEqual(kinds);
  const seen = versions.map((version, index) => [version, kindOf(kinds[index] ?? '')] as const);
  // Nothing is known about versions before the first tested one.
  expect(renderCell(seen)).toBe(cell.replace('1.13.2 to', 'to'));
});

test('a future version is expected to do what the newest does, and an unreadable cell is refused', () => {
  expect(expectedOf('from 2.0.0', '3.0.0')).toBe('works');
  expect(expectedOf('to 2.0.0', '3.0.0')).toBe('absent');
  expect(() => expectedOf('most of them', '2.0.0')).toThrow('names no versions');
  expect(kindOf('Error: 500')).toBe('fails');
});
