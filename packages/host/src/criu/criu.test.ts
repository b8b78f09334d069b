import { chmod, mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isThere } from '@soulbox/testing/is-there';
import { removeTree, run } from '@soulbox/base';
import { readSystemFamily } from '../system.ts';
import { unpackFromUnstable } from './debian-unstable.ts';
import type { Criu } from './criu.ts';
import { findCriu, readCriu } from './find-criu.ts';
import { installCriu } from './install-criu.ts';
import { tryCriu } from './trial.ts';

const working = await findCriu();
isThere('CRIU that works, and soulbox doctor says why', working !== undefined);
const debian = (await readSystemFamily()) === 'debian';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'criu-test-'));
});
afterEach(async () => {
  await removeTree(directory);
});

/** Creates a fake CRIU: a shell script. */
async function makeProgram(script: string): Promise<Criu> {
  const program = join(directory, 'criu');
  await writeFile(program, `#!/bin/sh\n${script}\n`);
  await chmod(program, 0o755);
  return { program, libraryDirectory: '', version: '4.2.1' };
}
const cache = (): string => join(directory, 'cache/trial.json');

test.runIf(working)('a real CRIU passes the trial, and the result is cached', async () => {
  if (working === undefined) return;
  expect(await tryCriu(working, cache())).toEqual({ ok: true });
  expect(JSON.parse(await readFile(cache(), 'utf8'))).toMatchObject(working);
});

test.runIf(working)('a cached result for one program does not apply to another', async () => {
  if (working === undefined) return;
  await tryCriu(working, cache());
  expect(await tryCriu(await makeProgram('exit 1'), cache())).toMatchObject({ ok: false });
});

test('the first error of a failing CRIU is reported, and the failure is not cached', async () => {
  const criu = await makeProgram(
    'echo "Error (criu/util.c:1534): rlimit: no" >&2; echo "Error (criu/x.c:1): No sockets here" >&2; exit 1',
  );
  expect(await tryCriu(criu, cache())).toEqual({ ok: false, why: 'No sockets here' });
  expect(await readdir(directory)).toEqual(['criu']);
});

test('a CRIU that reports success without doing anything fails the trial', async () => {
  // The listener then never ends, and the trial waits for its end.
  expect(await tryCriu(await makeProgram('exit 0'), cache(), 2000)).toMatchObject({ ok: false });
});

test('a CRIU that hangs is killed in time with everything that the trial started', async () => {
  const criu = await makeProgram('sleep 987654');
  expect(await tryCriu(criu, cache(), 2000)).toEqual({ ok: false, why: 'it did not end within 2 s' });
  await expect.poll(async () => await run('ps', ['-eo', 'args'])).not.toContain('sleep 987654');
});

test.each([
  ['Version: 4.1.1', undefined],
  ['Version: 3.19', undefined],
  ['no version at all', undefined],
  ['Version: 4.2', '4.2'],
  ['Version: 5.0.1', '5.0.1'],
])('a program that prints %j is version %s', async (text, version) => {
  const { program } = await makeProgram(`echo '${text}'`);
  expect((await readCriu(program, ''))?.version).toBe(version);
});

test('a program that does not start is not accepted as CRIU', async () => {
  expect(await readCriu(join(directory, 'nothing'), directory)).toBeUndefined();
  const { program } = await makeProgram('echo "Version: 4.2"; exit 1');
  expect(await readCriu(program, '')).toBeUndefined();
});

test.runIf(debian)(
  'a complete CRIU replaces a broken one, and leftovers of a killed installation are removed',
  async () => {
    const target = join(directory, 'lib/criu');
    await mkdir(target, { recursive: true });
    await writeFile(join(target, 'criu'), 'half');
    const abandoned = join(directory, 'lib/.criu-dead');
    await mkdir(abandoned);
    await run('touch', ['-d', '2 hours ago', abandoned]);
    await installCriu(() => undefined, target);
    expect(await readdir(join(directory, 'lib'))).toEqual(['criu']);
    expect(await readdir(target)).toEqual(expect.arrayContaining(['criu', 'libcompel.so.1', 'libnet.so.9']));
    expect(await readCriu(join(target, 'criu'), target)).toMatchObject({ libraryDirectory: target });
  },
  120_000,
);

test.runIf(debian)(
  'a package that Debian does not have is an error, and the package lists of the system stay unchanged',
  async () => {
    const lists = async (): Promise<string> => await run('ls', ['-lR', '--time-style=full-iso', '/var/lib/apt/lists']);
    const before = await lists();
    await chmod(directory, 0o755);
    await expect(unpackFromUnstable(directory, ['no-such-package-at-all'])).rejects.toThrow('no-such-package-at-all');
    expect(await lists()).toBe(before);
  },
  120_000,
);
