import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { proofFiles } from './proof-files.ts';

const repository = join(import.meta.dirname, '..');
const ownInstances = 'e2e/harness/own-instance.ts';
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

test('no two files of proofs share an instance with each other or with the server that all of them have', () => {
  const byInstance = new Map<string, string[]>();
  note(byInstance, 'e2e/global-setup.ts', [/proofs: \{ isolation: 'container', instance: (\d+)/]);
  const ofWorkers = /^const instances = \[(\d+), (\d+)\];/m.exec(readFileSync(join(repository, ownInstances), 'utf8'));
  for (const instance of ofWorkers?.slice(1) ?? []) byInstance.set(instance, [ownInstances]);
  const inOptions = [/instance: (\d+)/, /^const instance = (\d+);/m];
  const inPair = [/\[instance, otherInstance\] = \[(\d+), \d+\]/, /\[instance, otherInstance\] = \[\d+, (\d+)\]/];
  for (const file of globSync([...proofFiles], { cwd: repository })) note(byInstance, file, [...inOptions, ...inPair]);
  expect(byInstance.size).toBe(12);
  expect([...byInstance.values()].filter((files) => files.length > 1)).toEqual([]);
});

function note(byInstance: Map<string, string[]>, file: string, patterns: readonly RegExp[]): void {
  const text = readFileSync(join(repository, file), 'utf8');
  for (const pattern of patterns) {
    const instance = pattern.exec(text)?.[1];
    if (instance !== undefined) byInstance.set(instance, [...(byInstance.get(instance) ?? []), file]);
  }
}
