import { describe, expect, test } from 'vitest';
import { fieldsOf, jsonOf, packageJsonOf } from './package-json.ts';

const folderWith = (text: string | undefined, name = 'package.json') => ({
  names: new Set([name]),
  texts: new Map(text === undefined ? [] : [[name, text]]),
});
const read = (content: unknown) => packageJsonOf(folderWith(JSON.stringify(content)));

/** The result for a package.json without content. */
const nothing = {
  ...{ packageManager: undefined, main: undefined, hasStart: false, startUses: [] },
  ...{ hasDependencies: false, hasLocal: false },
};

test('existing fields are read', () => {
  const content = {
    packageManager: 'pnpm@9.1.0+sha512.abc',
    main: 'lib/x.js',
    scripts: { start: 'bun  run\tx.ts', test: 'vitest' },
    dependencies: { a: '^1' },
  };
  expect(read(content)).toEqual({
    ...{ packageManager: 'pnpm', main: 'lib/x.js', hasStart: true, startUses: ['bun', 'run', 'x.ts'] },
    ...{ hasDependencies: true, hasLocal: false },
  });
});

test('missing fields get the empty value', () => {
  expect(read({})).toEqual(nothing);
  expect(read({ scripts: {}, dependencies: {} })).toEqual(nothing);
});

test.each([
  { packageManager: 7, main: 8, scripts: { start: 9 }, dependencies: 'a' },
  { packageManager: null, main: null, scripts: null, dependencies: null },
  { packageManager: ['bun'], main: {}, scripts: ['start'], dependencies: ['a'] },
  { scripts: 'start', devDependencies: true, optionalDependencies: 'long' },
])('fields of another type count as missing: %j', (content) => {
  expect(read(content)).toEqual(nothing);
});

test('an empty main or start script counts as missing', () => {
  expect(read({ main: '', scripts: { start: '' } })).toMatchObject({ main: undefined, hasStart: false });
});

test.each(['dependencies', 'devDependencies', 'optionalDependencies'])('%s are dependencies', (field) => {
  expect(read({ [field]: { a: '1' } })).toMatchObject({ hasDependencies: true });
});

test.each(['peerDependencies', 'engines'])('%s need not be installed', (field) => {
  expect(read({ [field]: { a: '1' } })).toMatchObject({ hasDependencies: false });
});

test.each(['file:../a', 'link:../a', 'portal:../a', 'workspace:*'])(
  'a dependency on %s is a local folder',
  (version) => {
    expect(read({ dependencies: { a: version } })).toMatchObject({ hasLocal: true });
  },
);

test.each(['^1', 'npm:b@1', 'https://example.org/file:1', 'git+ssh://x'])(
  'a dependency on %s is not local',
  (version) => {
    expect(read({ dependencies: { a: version } })).toMatchObject({ hasLocal: false });
  },
);

describe('a file', () => {
  test('that was not read, or is not JSON, counts as missing', () => {
    for (const text of [undefined, '', '{', 'undefined']) {
      expect(packageJsonOf(folderWith(text))).toBeUndefined();
      expect(jsonOf(folderWith(text, 'deno.json'), 'deno.json')).toBeUndefined();
    }
  });

  test.each(['null', '[]', '["a"]', '"text"', '7', 'true'])(
    'that is JSON but not an object counts as missing: %s',
    (text) => {
      expect(jsonOf(folderWith(text), 'package.json')).toBeUndefined();
      expect(packageJsonOf(folderWith(text))).toBeUndefined();
    },
  );

  test('is found by its own name', () => {
    const folder = folderWith('{"imports":{"a":"b"}}', 'deno.json');
    expect(jsonOf(folder, 'deno.json')).toEqual({ imports: { a: 'b' } });
    expect(jsonOf(folder, 'package.json')).toBeUndefined();
  });
});

test.each([null, undefined, [], ['a'], 'text', 7, true])('%j has no fields', (value) => {
  expect(fieldsOf(value)).toEqual({});
});
