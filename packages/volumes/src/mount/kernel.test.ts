import { existsSync } from 'node:fs';
import * as disk from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { removeTree, run } from '@soulbox/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkVolume } from '../check/check-volume.ts';
import { mountVolume } from '../testing/mounted-volume.ts';
import { createVolume, openVolume } from '../volume/open.ts';

const randomContent = join(import.meta.dirname, '../../../fuse/src/testing/random_content.py');
const whyNot = existsSync('/dev/fuse') ? undefined : '/dev/fuse is missing';

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'soulbox-volume-'));
  const quota = { bytes: 5_000_000, inodes: 1000 };
  createVolume(data, { id: 'v', quota, root: { uid: 0, gid: 0, mode: 0o755 } });
});
afterEach(() => removeTree(data));

describe.skipIf(whyNot !== undefined)(`a mounted volume${whyNot === undefined ? '' : ` (${whyNot})`}`, () => {
  test('does what programs expect of a file system, and has it all after the next mount', async () => {
    await using server = await mountVolume(data, 1);
    const [mount = ''] = server.mounts;
    const at = (name: string): string => join(mount, name);
    expect(await run('/usr/bin/python3', [randomContent, at('random'), '400', '1'])).toMatch(/all equal/);

    await writeFile(at('a'), 'one');
    disk.linkSync(at('a'), at('b'));
    expect(disk.statSync(at('b')).nlink).toBe(2);
    await writeFile(at('c'), 'two');
    const open = disk.openSync(at('c'), 'r+');
    disk.renameSync(at('a'), at('c'));
    disk.writeSync(open, 'gone', 0);
    expect(String(disk.readFileSync(open))).toBe('gone');
    disk.closeSync(open);
    expect(await readFile(at('c'), 'utf8')).toBe('one');
    disk.mkdirSync(at('d/e'), { recursive: true });
    expect(() => {
      disk.rmdirSync(at('d'));
    }).toThrow('ENOTEMPTY');
    disk.symlinkSync('d/e', at('link'));
    disk.utimesSync(at('c'), 1, 2.5);
    expect(disk.statSync(at('c'))).toMatchObject({ atimeMs: 1000, mtimeMs: 2500 });
    const { bavail, bsize, ffree } = disk.statfsSync(mount);
    expect([Math.ceil((bavail * bsize) / 1e6), ffree]).toEqual([5, 993]);
    // EDQUOT, for which Node.js has no name.
    const tooMuch = writeFile(at('too-much'), Buffer.alloc(6_000_000));
    await expect(tooMuch).rejects.toMatchObject({ errno: -122 });
    disk.rmSync(at('too-much'));

    for (const mode of ['DELETE', 'WAL']) {
      const db = new DatabaseSync(at(`${mode}.sqlite`));
      db.exec(`PRAGMA journal_mode = ${mode}; CREATE TABLE t (a);`);
      const insert = db.prepare('INSERT INTO t VALUES (randomblob(2000))');
      for (let count = 0; count < 20; count += 1) insert.run();
      expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
      db.close();
    }
    const before = await run('find', [mount, '-printf', '%P %y %m %n %s %T@ %l\n']);
    await server[Symbol.asyncDispose]();
    expect(server.output()).toBe('ready\nunmounted\n');

    {
      await using _next = await mountVolume(data, 1);
      expect(await run('find', [mount, '-printf', '%P %y %m %n %s %T@ %l\n'])).toBe(before);
    }
    await using volume = await openVolume(data, 'v');
    expect(await checkVolume(volume)).toMatchObject({ faults: [] });
    expect(await volume.metadata.listOrphans(0, 10)).toEqual([]);
  });

  test('is shared by two mounts, with its appends and locks', async () => {
    await using server = await mountVolume(data, 2);
    const [one = '', other = ''] = server.mounts.map((mount) => join(mount, 'log'));
    await writeFile(one, '');
    const script = `for i in $(seq 40); do echo "$1 $i" >> "$2"; done`;
    await Promise.all([one, other].map((file, index) => run('bash', ['-c', script, 'append', String(index), file])));
    const lines = (await readFile(one, 'utf8')).trimEnd().split('\n');
    expect(lines.filter((line) => line.startsWith('0')).length).toBe(40);
    expect(lines.length).toBe(80);
    expect(await readFile(other, 'utf8')).toBe(await readFile(one, 'utf8'));
    // The second fails as long as the first holds the lock of the other mount.
    const locked = run('flock', ['-n', one, 'flock', '-n', other, 'true']);
    await expect(locked).rejects.toMatchObject({ exitCode: 1 });
    await run('flock', ['-n', other, 'true']);
  });
});
