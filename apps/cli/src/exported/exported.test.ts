import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { setAttribute } from '@soulbox/linux/file-attributes';
import {
  createExportKey,
  exportBlockBytes,
  runsFromDigests,
  signManifest,
  writeExport,
} from '@soulbox/contract/export-file';
import type { ExportManifest } from '@soulbox/contract/export-file';
import { runCli } from '../testing/run-cli.ts';
import { openExt4 } from './ext4.ts';

const key = createExportKey();
const stop = new AbortController().signal;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-exported-'));
});
afterEach(() => removeTree(folder));

/** An image as the drivers make it, with the content of `root`/u. */
async function makeImage(name: string, fill: (upper: string) => Promise<void>): Promise<string> {
  const root = join(folder, name);
  const upper = join(root, 'u');
  await mkdir(upper, { recursive: true });
  await fill(upper);
  const image = join(folder, `${name}.img`);
  await writeFile(image, '');
  await truncate(image, 32 * 1024 * 1024);
  const options = ['-q', '-F', '-b', '4096', '-I', '256', '-i', '32768', '-m', '0', '-O', '^has_journal,^resize_inode'];
  execFileSync('mkfs.ext4', [...options, '-d', root, image]);
  return image;
}

async function exportOf(name: string, images: readonly string[]): Promise<string> {
  const contents = await Promise.all(images.map(async (image) => await readFile(image)));
  const blocks: Buffer[] = [];
  const parts = contents.map((content, at) => {
    const digests = Array.from({ length: content.length / exportBlockBytes }, (_, block) => {
      const bytes = content.subarray(block * exportBlockBytes, (block + 1) * exportBlockBytes);
      if (bytes.every((byte) => byte === 0)) return '';
      blocks.push(bytes);
      return createHash('sha256').update(bytes).digest('hex');
    });
    return { kind: 'layer', name: `layer-${at}`, sizeBytes: content.length, data: runsFromDigests(digests) } as const;
  });
  const manifest: ExportManifest = {
    ...{ version: 1, blockBytes: exportBlockBytes, exportedAt: '2026-11-28T12:00:00.000Z' },
    source: { kind: 'sandbox', id: 'i1', sandboxId: 'i1', createdAt: '2026-11-28T12:00:00.000Z' },
    sandbox: { isolation: 'container', cpuCount: 2, memoryMb: 512, diskMb: 64 },
    template: { id: 'tbase', names: ['base'], source: 'test' },
    ...{ settings: {}, leftOut: [], parts },
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  const path = join(folder, `${name}.soulbox`);
  async function* source(): AsyncGenerator<Uint8Array> {
    yield* blocks;
    await Promise.resolve();
  }
  await writeFile(path, writeExport(bytes, signManifest(bytes, key), source()));
  return path;
}

const whiteout = (path: string): void => void execFileSync('mknod', [path, 'c', '0', '0']);
const big = randomBytes(3 * 1024 * 1024);

async function makeLower(upper: string): Promise<void> {
  await mkdir(join(upper, 'home/user/many'), { recursive: true });
  await writeFile(join(upper, 'home/user/big'), big);
  await writeFile(join(upper, 'home/user/old'), 'old');
  await symlink('/etc/passwd', join(upper, 'home/user/link'));
  for (let n = 0; n < 600; n += 1) await writeFile(join(upper, `home/user/many/a-rather-long-name-of-a-file-${n}`), '');
  const sparse = await open(join(upper, 'home/user/sparse'), 'w');
  await sparse.write('end', 1024 * 1024);
  await sparse.close();
  await mkdir(join(upper, 'etc'));
  whiteout(join(upper, 'etc/issue'));
}

async function makeUpper(upper: string): Promise<void> {
  await mkdir(join(upper, 'home/user/many'), { recursive: true });
  setAttribute(Buffer.from(join(upper, 'home/user/many')), 'trusted.overlay.opaque', 'y');
  await writeFile(join(upper, 'home/user/many/new'), 'new');
  whiteout(join(upper, 'home/user/old'));
  await writeFile(join(upper, Buffer.from('home/user/\u001b[31mred\n').toString()), 'x');
}

test('the files of an export are listed, printed and compared without a mount', async () => {
  const lower = await makeImage('lower', makeLower);
  const first = await exportOf('first', [lower]);
  const second = await exportOf('second', [await makeImage('upper', makeUpper), lower]);

  const listed = await runCli(['inspect', first, 'ls', '/home/user']);
  expect(listed.stdout.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
    ...['-0644 3145728 big', 'l0777 11 link', 'd0755 4096 many', '-0644 3 old', '-0644 1048579 sparse', ''].map(
      (line) => (line.startsWith('d') ? (expect.stringMatching(/^d0755 \d+ many$/) as string) : line),
    ),
  ]);
  const many = await runCli(['inspect', first, 'ls', 'home/user/many', '--json']);
  expect(many.stdout.trim().split('\n')).toHaveLength(600);
  await using image = await openExt4(lower, stop);
  let user = image.root;
  for (const name of ['u', 'home', 'user']) user = (await image.list(user)).get(name) ?? user;
  const read = async (name: string): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    const inode = (await image.list(user)).get(name);
    if (inode !== undefined) for await (const piece of image.read(inode)) pieces.push(piece);
    return Buffer.concat(pieces);
  };
  expect((await read('big')).equals(big)).toBe(true);
  expect((await read('sparse')).equals(Buffer.concat([Buffer.alloc(1024 * 1024), Buffer.from('end')]))).toBe(true);
  expect((await runCli(['inspect', second, 'cat', '/home/user/many/new'])).stdout).toBe('new');
  expect(await runCli(['inspect', second, 'cat', '/home/user/old'])).toMatchObject({ code: 1, stdout: '' });

  const changes = await runCli(['inspect', second, 'diff']);
  expect(changes.stdout.split('\n')).toEqual(
    expect.arrayContaining(['- /etc/issue', '- /home/user/old', '+ /home/user/big']),
  );
  const differences = (await runCli(['diff', first, second])).stdout.split('\n');
  // A name with control characters cannot move the cursor of a terminal.
  expect(differences).toEqual(
    expect.arrayContaining(['+ /home/user/\\u001b[31mred\\u000a', '- /home/user/old', '+ /home/user/many/new']),
  );
  expect(differences.filter((line) => line.startsWith('- /home/user/many/'))).toHaveLength(600);
  expect(differences).not.toContain('~ /home/user/big');
});

test('a damaged image is refused or read, and never anything else', async () => {
  const image = await makeImage('lower', makeLower);
  const content = await readFile(image);
  for (let round = 0; round < 8; round += 1) {
    const altered = Buffer.from(content);
    // The superblock, the tables and the first folders.
    for (let n = 0; n < 200; n += 1)
      altered[1024 + Math.floor(Math.random() * 200_000)] = Math.floor(Math.random() * 256);
    const path = join(folder, 'altered.img');
    await writeFile(path, altered);
    const look = async (): Promise<void> => {
      await using damaged = await openExt4(path, stop);
      for (const [, inode] of await damaged.list(damaged.root)) if (inode.kind === 'folder') await damaged.list(inode);
    };
    const outcome = await look().catch((error: unknown) => error);
    if (outcome !== undefined) expect(outcome).toMatchObject({ reason: 'export_unusable' });
  }
});

/** Changes the inode of a file that has the size `sizeBytes`, which no other file has. */
async function changeInode(image: string, sizeBytes: number, change: (inode: Buffer, image: Buffer) => void) {
  const content = await readFile(image);
  // Regular, of this size, with extents.
  for (let at = 0; at + 256 <= content.length; at += 256) {
    const isIt = content.readUInt32LE(at + 4) === sizeBytes && content.readUInt16LE(at + 0x28) === 0xf30a;
    if (isIt && content.readUInt16LE(at) >> 12 === 8) change(content.subarray(at, at + 256), content);
  }
  await writeFile(image, content);
}

async function readIn(path: string, name: string): Promise<number> {
  await using image = await openExt4(path, stop);
  const upper = (await image.list(image.root)).get('u') ?? image.root;
  const inode = (await image.list(upper)).get(name) ?? upper;
  let length = 0;
  for await (const piece of image.read(inode)) length += piece.length;
  return length;
}

test('a tree of extents without any extent, which would be read for days, is refused', async () => {
  const path = await makeImage('tree', async (upper) => {
    await writeFile(join(upper, 'one'), Buffer.alloc(5000, 1));
  });
  expect(await readIn(path, 'one')).toBe(5000);
  await changeInode(path, 5000, (inode, image) => {
    const block = inode.readUInt32LE(0x28 + 12 + 8);
    // The file's own first block becomes a leaf without entries, and the node in the inode points to it.
    inode.writeUInt16LE(1, 0x28 + 6);
    inode.writeUInt32LE(block, 0x28 + 12 + 4);
    inode.writeUInt16LE(0, 0x28 + 12 + 8);
    image.writeUInt16LE(0xf30a, block * 4096);
    image.fill(0, block * 4096 + 2, block * 4096 + 12);
  });
  await expect(readIn(path, 'one')).rejects.toMatchObject({ reason: 'export_unusable' });
});

test('a file of an impossible size is listed but not read', async () => {
  const path = await makeImage('size', async (upper) => {
    await writeFile(join(upper, 'one'), Buffer.alloc(5000, 1));
  });
  await changeInode(path, 5000, (inode) => void inode.writeUInt32LE(0x1000, 0x6c));
  await expect(readIn(path, 'one')).rejects.toMatchObject({ reason: 'export_unusable' });
});

test('an interrupted command leaves no files', async () => {
  const file = await exportOf('first', [await makeImage('lower', makeLower)]);
  const temporary = join(folder, 'tmp');
  await mkdir(temporary);
  const launcher = join(import.meta.dirname, '../../bin/soulbox.mjs');
  const child = spawn(process.execPath, [launcher, 'inspect', file, 'cat', '/home/user/big'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: temporary },
  });
  const ended = once(child, 'exit');
  await once(child.stdout, 'readable');
  // Nobody reads the rest, so the command waits for that when the signal arrives.
  await sleep(300);
  expect(await readdir(temporary)).toHaveLength(1);
  child.kill('SIGINT');
  await ended;
  expect(await readdir(temporary)).toEqual([]);
});
