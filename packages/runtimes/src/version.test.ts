import { expect, test } from 'vitest';
import { getRuntime } from './detect.ts';
import { parseVersion, runs } from './version.ts';

const node = getRuntime('node');

/** A runtime that supports TypeScript since a version. */
function since(version: string): typeof node {
  return { ...node, features: { ...node.features, languages: [{ language: 'typescript', since: version }] } };
}

test.each([
  ['22.18.0', '22.18.0', true],
  // Numbers with more digits are larger, whatever their first digit is.
  ['22.6.0', '22.18.0', false],
  ['22.18.0', '22.6.0', true],
  ['9.11.2', '22.18.0', false],
  ['100.0.0', '22.18.0', true],
  ['22.18.9', '22.18.10', false],
  ['22.18.10', '22.18.9', true],
  // A missing part is 0.
  ['22.18', '22.18.0', true],
  ['22.18.0', '22.18', true],
  ['22.18', '22.18.1', false],
  ['23', '22.18', true],
])('version %s of a runtime with a language since %s runs it: %s', (version, first, expected) => {
  expect(runs(since(first), 'typescript', version)).toBe(expected);
});

test('an unknown version runs every language of the runtime, and no version runs a language that it lacks', () => {
  expect(runs(since('22.18'), 'typescript', undefined)).toBe(true);
  expect(runs(since('22.18'), 'python', '99.0')).toBe(false);
  expect(runs(node, 'javascript', '0.1')).toBe(true);
});

test.each([
  ['v22.18.0', '22.18.0'],
  ['Python 3.13.5', '3.13.5'],
  ['openjdk 21.0.8 2025-07-15', '21.0.8'],
  ['R version 4.5.0 (2025-04-11)', '4.5.0'],
  ['version 7', undefined],
  ['', undefined],
  [`${'x'.repeat(1000)}1.2`, undefined],
])('%j contains the version %s', (text, version) => {
  expect(parseVersion(text)).toBe(version);
});
