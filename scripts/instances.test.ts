import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const repository = join(import.meta.dirname, '..');
const forms = [/^const instance = (\d+);/m, /openBuildLab\((\d+),/, /startServer\(\{ instance: (\d+)/];

test('no two unit test files have servers or runners of one instance, because each would remove the objects of the other', () => {
  const byInstance = new Map<string, string[]>();
  // Tests of a driver share an instance, and use different sandbox numbers.
  for (const file of globSync('packages/isolation/src/*/testing/test-instance.ts', { cwd: repository }))
    note(byInstance, file, [/testInstance = (\d+)/]);
  for (const file of globSync('{apps,packages}/*/src/**/*.test.ts', { cwd: repository })) note(byInstance, file, forms);
  expect(byInstance.size).toBeGreaterThan(8);
  expect([...byInstance.values()].filter((files) => files.length > 1)).toEqual([]);
});

function note(byInstance: Map<string, string[]>, file: string, patterns: readonly RegExp[]): void {
  const text = readFileSync(join(repository, file), 'utf8');
  for (const pattern of patterns) {
    const instance = pattern.exec(text)?.[1];
    if (instance !== undefined) byInstance.set(instance, [...(byInstance.get(instance) ?? []), file]);
  }
}
