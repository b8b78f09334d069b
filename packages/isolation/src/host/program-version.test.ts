import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createVersionReader } from './program-version.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'version-'));
});
afterEach(() => rm(directory, { recursive: true }));

/** A program that records its arguments and prints `answer`. */
async function makeProgram(answer: string): Promise<string> {
  const path = join(directory, 'program');
  await writeFile(path, `#!/bin/sh\necho "$@" >> ${directory}/calls\n${answer}\n`);
  await chmod(path, 0o755);
  return path;
}

test.each([
  ['echo Version: 4.2.1', 'tool 4.2.1'],
  ['printf "Version: 4.2\\nGitID: v4.2-3\\n"', 'tool 4.2'],
  ['printf "runsc version release-20260101.0\\nspec: 1.2.0\\n"', 'tool release-20260101.0'],
  ['echo nothing of the kind', ''],
  ['echo Version: 4.2.1; exit 1', ''],
])('a program that does %s has the version "%s"', async (answer, version) => {
  expect(await createVersionReader('tool', [await makeProgram(answer)])()).toBe(version);
});

test('a missing program has no version until it is installed', async () => {
  const readVersion = createVersionReader('tool', [join(directory, 'program')]);
  expect(await readVersion()).toBe('');
  await makeProgram('echo Version: 1');
  expect(await readVersion()).toBe('tool 1');
});

test('a program is asked once, for all callers at the same time or later', async () => {
  const readVersion = createVersionReader('tool', [await makeProgram('echo Version: 1'), 'before']);
  await Promise.all([readVersion(), readVersion()]);
  expect(await readVersion()).toBe('tool 1');
  expect(await readFile(join(directory, 'calls'), 'utf8')).toBe('before --version\n');
});
