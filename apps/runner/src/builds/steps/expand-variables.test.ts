import { expect, test } from 'vitest';
import { run } from '@soulbox/base';
import { expandVariables, namesIn } from './expand-variables.ts';
import { sourcePath } from './copy.ts';

const variables: Record<string, string> = { A: 'one', EMPTY: '', LONG_1: 'x y' };
const find = (name: string): string | undefined => variables[name];

// The expected value is the expansion by sh of the same text within double quotes.
test.each([
  'plain',
  '$A',
  '${A}b$A',
  'x$LONG_1/y',
  '$NONE.',
  '${NONE:-word}',
  '${EMPTY:-word}',
  '${EMPTY-word}',
  '${A:+word}',
  '${EMPTY:+word}',
  '${EMPTY+word}',
  '${NONE+word}',
  String.raw`\$A \\ \" \x`,
  '$',
  '100$ %',
])('%j is expanded as a shell does', async (text) => {
  const shell = await run('sh', ['-c', `printf %s "${text}"`], { env: variables });
  expect(expandVariables(text, find)).toBe(shell);
});

test.each(['$(id)', '`id`', '$((1+1))', '${A:-$(id)}', '${!A}', '${A#o}', '$1', '$@'])(
  '%j is left unchanged',
  (text) => {
    expect(expandVariables(text, find)).toBe(text);
  },
);

test('the variable names in a text are found', () => {
  expect(namesIn('$A ${B:-c} \\$D $(E)')).toEqual(['A', 'B']);
});

test.each([
  ['a/b', 'a/b'],
  ['./a/', 'a'],
  ['.', ''],
  ['/a', 'a'],
  ['a/*.txt', 'a'],
  ['*.txt', ''],
  ['a/**/b', 'a'],
  ['a[1]/b', ''],
])('the source %j is at %j in the archive', (source, path) => {
  expect(sourcePath(source)).toBe(path);
});
