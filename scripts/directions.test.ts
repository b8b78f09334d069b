import { expect, test } from 'vitest';
import { judgeImports } from './directions.ts';
import type { Import, Rules } from './directions.ts';

const rules: Rules = {
  parts: { 'apps/a': ['packages/base'], 'apps/b': [], 'apps/b/build': ['apps/b'], 'packages/base': [] },
  testParts: ['packages/testing'],
  rooms: {},
  exceptions: [],
};
const withRooms: Rules = { ...rules, rooms: { 'apps/a': [['low'], ['left', 'right'], ['main']] } };
/** One import for each room, so that all rooms exist. */
const upright: readonly Import[] = [
  ['apps/a/left/x.ts', 'apps/a/low/y.ts'],
  ['apps/a/right.ts', 'apps/a/low/y.ts'],
  ['apps/a/main.ts', 'apps/a/right.ts'],
];

test('a part may import the parts that it names, itself and nothing else', () => {
  expect(judgeImports([['apps/a/x.ts', 'packages/base/y.ts']], rules)).toEqual([]);
  expect(judgeImports([['apps/a/x.ts', 'apps/a/y.ts']], rules)).toEqual([]);
  expect(judgeImports([['apps/a/x.ts', 'apps/b/y.ts']], rules)).toEqual([
    'part: apps/a/x.ts -> apps/b/y.ts: apps/a may not import apps/b',
  ]);
});

test('a folder inside a part can be a part with its own rules', () => {
  expect(judgeImports([['apps/b/build/x.ts', 'apps/b/src/y.ts']], rules)).toEqual([]);
  expect(judgeImports([['apps/b/src/y.ts', 'apps/b/build/x.ts']], rules)).toHaveLength(1);
});

test('a pattern allows every part of a folder', () => {
  const open = { ...rules, parts: { ...rules.parts, 'apps/a': ['apps/*'] } };
  expect(judgeImports([['apps/a/x.ts', 'apps/b/build/y.ts']], open)).toEqual([]);
  expect(judgeImports([['apps/a/x.ts', 'packages/base/y.ts']], open)).toHaveLength(1);
});

test('only tests may import the parts that are allowed for tests', () => {
  const parts = { ...rules.parts, 'packages/testing': ['apps/*'] };
  const to = 'packages/testing/index.ts';
  expect(judgeImports([['apps/a/x.test.ts', to]], { ...rules, parts })).toEqual([]);
  expect(judgeImports([['apps/a/testing/x.ts', to]], { ...rules, parts })).toEqual([]);
  expect(judgeImports([['apps/a/x.ts', to]], { ...rules, parts })).toHaveLength(1);
});

test('a file in no part is a fault', () => {
  expect(judgeImports([['tools/x.ts', 'apps/a/y.ts']], rules)).toHaveLength(1);
});

test('rooms import only downwards, never sideways; tests may', () => {
  expect(judgeImports(upright, withRooms)).toEqual([]);
  expect(judgeImports([...upright, ['apps/a/low/y.ts', 'apps/a/main.ts']], withRooms)).toContain(
    'room: apps/a/low/y.ts -> apps/a/main.ts: low stands below main in apps/a, or beside it',
  );
  expect(judgeImports([...upright, ['apps/a/left/z.ts', 'apps/a/right.ts']], withRooms)).toHaveLength(1);
  expect(judgeImports([...upright, ['apps/a/low/y.test.ts', 'apps/a/main.ts']], withRooms)).toEqual([]);
});

test('each room is in a row, and each name in a row is a room', () => {
  expect(judgeImports([...upright, ['apps/a/main.ts', 'apps/a/new/x.ts']], withRooms)).toContain(
    'room: apps/a/new is in no row of the configuration',
  );
  expect(judgeImports(upright.slice(1), withRooms)).toEqual([
    'room: apps/a/left is in the configuration but imports nothing and is not imported',
  ]);
});

test('a circle of files is reported once, from end to end', () => {
  const circle: Import[] = [
    ['apps/a/1.ts', 'apps/a/2.ts'],
    ['apps/a/2.ts', 'apps/a/3.ts'],
    ['apps/a/3.ts', 'apps/a/1.ts'],
    ['apps/a/3.ts', 'apps/a/4.ts'],
  ];
  const [fault, ...others] = judgeImports(circle, rules);
  expect(fault?.split(' -> ')).toHaveLength(4);
  expect(others).toEqual([]);
  expect(judgeImports(circle.slice(1), rules)).toEqual([]);
});

test('a known exception allows one import, also in a circle', () => {
  const imports: Import[] = [
    ['apps/a/1.ts', 'apps/a/2.ts'],
    ['apps/a/2.ts', 'apps/a/1.ts'],
    ['apps/a/2.ts', 'apps/b/3.ts'],
  ];
  const exceptions = ['apps/a/2.ts -> apps/a/1.ts', 'apps/a/2.ts -> apps/b/3.ts'];
  expect(judgeImports(imports, { ...rules, exceptions })).toEqual([]);
  expect(judgeImports(imports, { ...rules, exceptions: exceptions.slice(1) })).toHaveLength(1);
  expect(judgeImports(imports, { ...rules, exceptions: exceptions.slice(0, 1) })).toHaveLength(1);
});

test('an unneeded exception is a fault', () => {
  const imports: Import[] = [['apps/a/1.ts', 'apps/a/2.ts']];
  for (const exception of ['apps/a/1.ts -> apps/a/2.ts', 'apps/a/1.ts -> apps/a/gone.ts'])
    expect(judgeImports(imports, { ...rules, exceptions: [exception] })).toEqual([
      `exception: ${exception} is not needed any more; delete it`,
    ]);
});
