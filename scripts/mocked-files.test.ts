import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mockedFiles } from './mocked-files.ts';

const repository = join(import.meta.dirname, '..');

// Elsewhere Node loads the modules, and `vi.mock` would have no effect.
test('exactly the listed unit test files replace modules', () => {
  const patterns = ['apps/*/{src,build}/**/*.test.ts', 'packages/*/src/**/*.test.ts', 'scripts/**/*.test.ts'];
  const files = globSync(patterns, { cwd: repository, exclude: ['**/node_modules/**'] });
  expect(files.length).toBeGreaterThan(400);
  const mocking = files.filter((file) =>
    /\bvi\.(?:mock|doMock|hoisted)\(/.test(readFileSync(join(repository, file), 'utf8')),
  );
  expect(mocking.toSorted()).toEqual(mockedFiles.toSorted());
});
