/** @module-tag violation */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { statSync, symlinkSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterAll, expect, test } from 'vitest';
import { text, u32, u64 } from './wire.ts';

const folder = mkdtempSync(join(tmpdir(), 'soulbox-sftp-'));
afterAll(async () => await rm(folder, { recursive: true }));
const main = join(import.meta.dirname, 'main.ts');
const server = join(folder, 'server');
writeFileSync(server, `#!/bin/sh\ncd ${folder} && exec ${process.execPath} ${main}\n`);
chmodSync(server, 0o755);

function sftp(...commands: readonly string[]) {
  return spawnSync('sftp', ['-b', '-', '-D', server], {
    cwd: folder,
    input: commands.join('\n'),
    encoding: 'utf8',
    timeout: 30_000,
    // In another locale, sftp escapes names that are not ASCII.
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
  });
}

test("OpenSSH's client uploads, lists, renames, links, changes modes, downloads and removes", () => {
  const content = Buffer.alloc(1_000_003, 'x');
  writeFileSync(join(folder, 'big'), content);
  const { status, stdout, stderr } = sftp(
    ...['mkdir d', 'put -p big d/up', 'chmod 600 d/up', 'symlink /nowhere d/l', 'rename d/up "d/ä b"', 'ls -la d'],
    ...['get "d/ä b" down', 'rm d/l', '-rm d/none'],
  );
  expect([status, stderr]).toEqual([0, expect.stringContaining('No such file')]);
  expect(stdout).toMatch(/-rw-------.*1000003.*ä b/);
  expect(readFileSync(join(folder, 'down')).equals(content)).toBe(true);
  expect(statSync(join(folder, 'd', 'ä b')).mode & 0o777).toBe(0o600);
  expect(existsSync(join(folder, 'd', 'l'))).toBe(false);
});

test('a folder with thousands of entries and a name that is not UTF-8 are listed', () => {
  const many = join(folder, 'many');
  mkdirSync(many);
  for (let n = 0; n < 3000; n += 1) writeFileSync(join(many, String(n)), '');
  writeFileSync(Buffer.concat([Buffer.from(`${many}/`), Buffer.from([0xff, 0x41])]), '');
  const { status, stdout } = sftp('ls -1 many');
  expect([status, stdout.split('\n').filter((line) => line.startsWith('many/')).length]).toEqual([0, 3001]);
});

/** Sends packets to the server and returns what it answers before it ends. */
async function exchange(...bytes: readonly Buffer[]): Promise<{ readonly code: number; readonly answer: Buffer }> {
  const child = spawn(process.execPath, [main], { cwd: folder, stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.on('error', () => undefined);
  const answer = buffer(child.stdout);
  child.stdin.end(Buffer.concat(bytes));
  const [code] = (await once(child, 'exit')) as [number];
  return { code, answer: await answer };
}
const packet = (...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([u32(body.length), body]);
};
const init = packet(Buffer.from([1]), u32(3));
const statusIn = (answer: Buffer): number => {
  const first = answer.readUInt32BE();
  return answer.readUInt32BE(4 + first + 9);
};

test.each([
  ['longer than allowed', u32(300_000)],
  ['of 4 GiB', u32(0xffff_ffff)],
  ['of no bytes', u32(0)],
])('a packet %s ends the server', async (_what, bytes) => {
  expect((await exchange(init, bytes)).code).toBe(1);
});

test('lsetstat changes a link itself, and never the file that it names', async () => {
  writeFileSync(join(folder, 'named'), 'content', { mode: 0o600 });
  symlinkSync('named', join(folder, 'link'));
  const before = statSync(join(folder, 'named')).mtimeMs;
  const ask = async (attributes: Buffer): Promise<number> => {
    const name = text('lsetstat@openssh.com');
    const { answer } = await exchange(init, packet(Buffer.from([200]), u32(1), name, text('link'), attributes));
    return statusIn(answer);
  };
  expect(await ask(Buffer.concat([u32(1), u64(0)]))).toBe(4);
  expect(await ask(Buffer.concat([u32(4), u32(0o777)]))).toBe(4);
  expect(await ask(Buffer.concat([u32(8), u32(1000), u32(2000)]))).toBe(0);
  expect(lstatSync(join(folder, 'link')).mtimeMs).toBe(2_000_000);
  const { mtimeMs, mode, size } = statSync(join(folder, 'named'));
  expect([mtimeMs, mode & 0o777, size]).toEqual([before, 0o600, 7]);
});

test.each([
  ['that is cut off', packet(Buffer.from([3]), u32(1), u32(1000)), 4],
  ['with a handle that was never given', packet(Buffer.from([5]), u32(1), text('77'), u64(0), u32(10)), 4],
  ['of an unknown type', packet(Buffer.from([99]), u32(1)), 8],
  ['for an unknown extension', packet(Buffer.from([200]), u32(1), text('x@example.com')), 8],
  ['for a path that does not exist', packet(Buffer.from([17]), u32(1), text('/none')), 2],
  ['with a NUL in its path', packet(Buffer.from([17]), u32(1), text('a\0b')), 4],
])('a request %s gets an error, and the server goes on', async (_what, bytes, status) => {
  const { code, answer } = await exchange(init, bytes);
  expect([code, statusIn(answer)]).toEqual([0, status]);
});
