import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { digestScript, listScript, unpackScript } from './scripts.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-scripts-'));
  await chmod(folder, 0o755);
});
afterEach(async () => await removeTree(folder));

interface Ended {
  readonly code: number | null;
  readonly errors: string;
}

/** Sends an archive as the CLI does, in one part, as the owner of nothing if `isStranger`. */
async function unpack(target: string, archive: Buffer, { isContents = true, isStranger = false } = {}): Promise<Ended> {
  const who = isStranger ? { uid: 65_534, gid: 65_534 } : {};
  const args = [target, 'folder', 'source', isContents ? 'yes' : 'no', 'no', 'test', '900'];
  const child = spawn('/bin/sh', ['-c', unpackScript, 'soulbox', ...args], {
    ...{ env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', HOME: folder }, cwd: folder, detached: true, ...who },
  });
  const [errors, closed] = [text(child.stderr), once(child, 'close')];
  child.stdin.on('error', () => undefined);
  let greeting = '';
  for await (const bytes of child.stdout) {
    greeting += String(bytes);
    const [, stage, rest] = greeting.split('\0');
    if (rest === undefined) continue;
    await writeFile(join(stage ?? '', 'part.0'), archive);
    child.stdin.end('0\nend\n');
  }
  const [code] = (await closed) as [number | null];
  return { code, errors: await errors };
}

async function archiveOf(source: string): Promise<Buffer> {
  return await Promise.resolve(execFileSync('tar', ['-c', '-C', source, '.']));
}

async function makeSource(): Promise<Buffer> {
  const source = join(folder, 'source');
  await mkdir(join(source, 'sub'), { recursive: true });
  await writeFile(join(source, 'sub/a'), 'a');
  await writeFile(join(source, '.hidden'), 'new');
  await writeFile(join(source, '-rf'), 'dash');
  await symlink('a', join(source, 'link'));
  await chmod(join(source, 'sub'), 0o750);
  await chmod(source, 0o700);
  return await archiveOf(source);
}

const names = ['-rf', '.hidden', 'link', 'sub'];

test('contents go into a folder that exists, which keeps its mode and time', async () => {
  const target = join(folder, 'target');
  await mkdir(target, { mode: 0o755 });
  await writeFile(join(target, '.hidden'), 'old');
  const before = new Date('2001-02-03T04:05:06Z');
  const archive = await makeSource();
  await utimes(target, before, before);
  expect(await unpack(target, archive)).toEqual({ code: 0, errors: '' });
  expect((await readdir(target)).sort()).toEqual(names);
  const found = await stat(target);
  expect(found.mode & 0o7777).toBe(0o755);
  // Entries have come, so it is later than before, and not that of the source.
  expect(found.mtimeMs).toBeGreaterThan((await stat(join(folder, 'source'))).mtimeMs);
  expect((await stat(join(target, 'sub'))).mode & 0o7777).toBe(0o750);
  expect(await readFile(join(target, '.hidden'), 'utf8')).toBe('new');
  expect((await lstat(join(target, 'link'))).isSymbolicLink()).toBe(true);
});

test('an empty folder changes nothing in a folder that exists', async () => {
  const target = join(folder, 'target');
  for (const name of ['target', 'empty']) await mkdir(join(folder, name));
  expect(await unpack(target, await archiveOf(join(folder, 'empty')))).toEqual({ code: 0, errors: '' });
  expect(await readdir(target)).toEqual([]);
});

test.runIf(process.getuid?.() === 0)('contents go into a shared folder of somebody else', async () => {
  const target = join(folder, 'shared');
  await mkdir(target);
  await chmod(target, 0o1777);
  expect(await unpack(target, await makeSource(), { isStranger: true })).toEqual({ code: 0, errors: '' });
  expect((await readdir(target)).sort()).toEqual(names);
  expect((await stat(target)).mode & 0o7777).toBe(0o1777);
});

test('what cannot be put in place is an error', async () => {
  const target = join(folder, 'target');
  await mkdir(join(target, '-rf'), { recursive: true });
  expect(await unpack(target, await makeSource())).toMatchObject({
    code: 65,
    errors: expect.stringContaining('-rf') as string,
  });
  expect((await readdir(target)).filter((name) => name.startsWith('.soulbox'))).toEqual([]);
});

test('a new folder gets the mode and time of its source', async () => {
  const archive = await makeSource();
  for (const isContents of [true, false]) {
    const target = join(folder, `new-${String(isContents)}`);
    expect(await unpack(target, archive, { isContents })).toEqual({ code: 0, errors: '' });
    const [made, source] = [await stat(target), await stat(join(folder, 'source'))];
    expect([made.mode, Math.floor(made.mtimeMs / 1000)]).toEqual([source.mode, Math.floor(source.mtimeMs / 1000)]);
  }
});

function list(path: string, isDeep: boolean): { readonly code: number | null; readonly words: string } {
  const args = ['-c', listScript, 'soulbox', path, isDeep ? 'yes' : 'no'];
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', HOME: folder };
  const { status, stdout, stderr } = spawnSync('/bin/sh', args, { env, cwd: folder, encoding: 'utf8' });
  return { code: status, words: `${stdout}${stderr}` };
}

test('a list of all folders below is of a folder only', async () => {
  await mkdir(join(folder, 'app'));
  await writeFile(join(folder, 'app/app'), 'x');
  expect(list('app', true)).toEqual({ code: 0, words: expect.stringMatching(/ \.\/app\/\/\n$/) as string });
  for (const path of ['app/app', '~/app/app'])
    expect(list(path, true)).toEqual({ code: 64, words: `${path} is not a folder.\n` });
  expect(list('app/app', false)).toMatchObject({ code: 0 });
  expect(list('none', true)).toEqual({ code: 64, words: 'none does not exist in the sandbox.\n' });
});

test.each(['folder', 'stream'])('a %s whose sender has gone is removed', async (kind) => {
  const args = [join(folder, 'target'), kind, 'source', 'yes', 'no', 'test', '1'];
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', HOME: folder };
  const child = spawn('/bin/sh', ['-c', unpackScript, 'soulbox', ...args], { env, cwd: folder, detached: true });
  const ended = once(child, 'exit');
  const parts = async (): Promise<string[]> => (await readdir(folder)).filter((name) => name.startsWith('.soulbox'));
  await once(child.stdout, 'data');
  expect(await parts()).toEqual(['.soulbox-cp-test']);
  // A sign of life, and then none.
  child.stdin.write('\n');
  await ended;
  expect(await parts()).toEqual([]);
});

test.each(['GNU', 'another'])('digests of files with names of any bytes by %s sha256sum', async (kind) => {
  const [bin, files] = [join(folder, 'bin'), join(folder, 'files')];
  await mkdir(bin);
  await mkdir(files);
  // As that of BusyBox, which knows neither --zero nor --version.
  const other = '#!/bin/sh\n[ $# -eq 0 ] || exit 1\nexec /usr/bin/sha256sum\n';
  if (kind === 'another') await writeFile(join(bin, 'sha256sum'), other, { mode: 0o755 });
  const odd = ['-rf', 'a b', 'new\nline', 'back\\slash', '$(id)'];
  for (const name of odd) await writeFile(join(files, name), name);
  const input = [...odd, 'none'].map((name) => `./${name}\0`).join('');
  const { stdout, status } = spawnSync('/bin/sh', ['-c', digestScript, 'soulbox', files], {
    ...{ input, encoding: 'utf8', env: { PATH: `${bin}:/usr/bin:/bin`, LC_ALL: 'C', HOME: folder } },
  });
  const digests = odd.map((name) => `${createHash('sha256').update(name).digest('hex')}  ./${name}\0`);
  expect([status, stdout]).toEqual([123, digests.join('')]);
});
