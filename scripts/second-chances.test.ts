import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const repository = join(import.meta.dirname, '..');
const files = globSync(['apps/*/{src,build}/**/*.test.ts', 'packages/*/src/**/*.test.ts', 'e2e/**/*.test.ts'], {
  cwd: repository,
  exclude: ['**/node_modules/**'],
});

/** By its name, or because it draws random cases: even a single failure in it is real. */
function looksForViolations(file: string, text: string): boolean {
  return (
    /crash|chaos|moments|damage|soak|redteam|\/fill\/|full-disk|property/.test(file) ||
    text.includes("from 'fast-check'")
  );
}

test.each(files.filter((file) => looksForViolations(file, readFileSync(join(repository, file), 'utf8'))))(
  '%s is not retried: it begins with the tag that says so',
  (file) => {
    expect(readFileSync(join(repository, file), 'utf8').split('\n', 1)[0]).toBe('/** @module-tag violation */');
  },
);
