/** @module-tag violation */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '@soulbox/base';
import { openSqliteRecords } from '@soulbox/storage';
import { fileKeyringRecords } from './file-records.ts';
import { fileMasterKeys } from './file/file-master-keys.ts';
import { openKeyring } from './keyring.ts';
import { rotateMasterKey } from './rotate.ts';
import { lockRotation } from './rotation-lock.ts';
import { makeKeyFolder } from './testing/key-folder.ts';
import type { KeyFolder } from './testing/key-folder.ts';
import { memoryMasterKeys } from './testing/memory-master-keys.ts';

let folder: KeyFolder;
beforeEach(async () => {
  folder = await makeKeyFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const place = (n: number) => ({ table: 't', row: `r${n}`, field: 'f', team: 't1' });
const rotate = async (keepOld = false) =>
  await rotateMasterKey({ records: [folder.records.keyring], sources: [folder.source], keepOld });
const keysInFile = async (): Promise<string[]> =>
  (await readFile(folder.masterKeyFile, 'utf8')).match(/file:[0-9a-f]{16}/g) ?? [];
const states = async (): Promise<string[]> =>
  (await folder.records.keyring.listMasterKeys()).map(({ state }) => state).sort();

/** Seals `count` values, each under a data key of its own. */
async function sealMany(count: number): Promise<string[]> {
  const sealed: string[] = [];
  using keyring = await openKeyring({
    records: folder.records.keyring,
    sources: [folder.source],
    valuesPerKey: 1,
  });
  for (let n = 0; n < count; n++) sealed.push(await keyring.seal(new Secret(`value ${n}`), place(n)));
  return sealed;
}

/** What a server that starts now can read of them. */
async function readAll(sealed: readonly string[]): Promise<void> {
  using keyring = await openKeyring({ records: folder.records.keyring, sources: [folder.source] });
  for (const [n, text] of sealed.entries()) expect((await keyring.open(text, place(n))).reveal()).toBe(`value ${n}`);
}

describe('a rotation', () => {
  it('wraps all data keys with a new master key, says how many, and removes the old one', async () => {
    const sealed = await sealMany(450);
    const [old] = await keysInFile();
    const rotation = await rotate();
    expect(rotation).toMatchObject({ isContinued: false, rewrapped: 450, isErased: true });
    expect(rotation.retired).toEqual([{ id: old, isRemoved: true }]);
    expect(await keysInFile()).toEqual([rotation.to]);
    expect(await states()).toEqual(['current', 'retired']);
    await readAll(sealed);
  });

  it('leaves no wrapping of the old key in any file of the records', async () => {
    await sealMany(50);
    const [record] = await folder.records.keyring.listNotCurrent(1);
    expect(record).toBeUndefined();
    const before = await folder.records.keyring.findDataKeyOf((await keysInFile())[0] ?? '');
    await rotate();
    const files = await Promise.all(
      (await readdir(folder.path))
        .filter((name) => name.startsWith('records'))
        .map((name) => readFile(join(folder.path, name))),
    );
    expect(files.length).toBeGreaterThan(0);
    expect(files.some((bytes) => bytes.includes(before?.wrapped ?? 'x'))).toBe(false);
  });

  it('keeps the old key in the file on request, and does not use it again', async () => {
    await sealMany(3);
    const [old = ''] = await keysInFile();
    const first = await rotate(true);
    expect(await keysInFile()).toEqual([old, first.to]);
    const second = await rotate();
    expect([old, first.to]).not.toContain(second.to);
    expect(await keysInFile()).toEqual([old, second.to]);
  });

  it('does not disturb a running server: it reads and writes all the time', async () => {
    const sealed = await sealMany(300);
    using keyring = await openKeyring({
      ...{ records: folder.records.keyring, sources: [folder.source], valuesPerKey: 2 },
      ...{ cachedKeys: 3, cacheMs: 5 },
    });
    const stop = new AbortController();
    let calls = 0;
    const server = (async () => {
      while (!stop.signal.aborted) {
        const n = calls++ % sealed.length;
        expect((await keyring.open(sealed[n] ?? '', place(n))).reveal()).toBe(`value ${n}`);
        const fresh = await keyring.seal(new Secret('fresh'), place(-calls));
        expect((await keyring.open(fresh, place(-calls))).reveal()).toBe('fresh');
        await sleep(0);
      }
    })();
    server.catch(() => stop.abort());
    // On a connection of its own, like another process. The number of rounds follows the server: on a busy
    // host, ten rotations can be over before it has made its calls.
    await using other = openSqliteRecords(folder.recordsFile);
    for (let round = 0; (round < 10 || calls <= 20) && !stop.signal.aborted; round++)
      await rotateMasterKey({
        records: [other.keyring],
        sources: [fileMasterKeys(folder.masterKeyFile)],
        keepOld: false,
      });
    stop.abort();
    await server;
    expect(await folder.records.keyring.countNotCurrent()).toBe(0);
    await readAll(sealed);
  });

  it('moves to another source of keys, and leaves the old file without that key', async () => {
    const sealed = await sealMany(5);
    const memory = memoryMasterKeys();
    const sources = [memory, folder.source] as const;
    const rotation = await rotateMasterKey({ records: [folder.records.keyring], sources, keepOld: false });
    expect(rotation.to).toMatch(/^memory:/);
    expect(await keysInFile()).toEqual([]);
    using keyring = await openKeyring({ records: folder.records.keyring, sources });
    expect((await keyring.open(sealed[4] ?? '', place(4))).reveal()).toBe('value 4');
  });

  it('includes a set that a server begins to use with the old key at the last moment', async () => {
    await sealMany(2);
    const [old = ''] = await keysInFile();
    const late = fileKeyringRecords(join(folder.path, 'runner-keys.json'));
    let sealed = '';
    const first = folder.records.keyring;
    const racing = {
      ...first,
      async eraseReplaced() {
        if (sealed === '') {
          await late.switchMasterKey(old, undefined, 1);
          using keyring = await openKeyring({ records: late, sources: [folder.source] });
          sealed = await keyring.seal(new Secret('late'), place(1));
        }
        return await first.eraseReplaced();
      },
    };
    const rotation = await rotateMasterKey({ records: [racing, late], sources: [folder.source], keepOld: false });
    expect(rotation.rewrapped).toBe(3);
    expect(await keysInFile()).toEqual([rotation.to]);
    using keyring = await openKeyring({ records: late, sources: [folder.source] });
    expect((await keyring.open(sealed, place(1))).reveal()).toBe('late');
  });

  it('is followed by no use of a kept old key: a new set of data keys begins with the newest', async () => {
    await sealMany(1);
    const { to } = await rotate(true);
    expect(await keysInFile()).toHaveLength(2);
    const fresh = fileKeyringRecords(join(folder.path, 'runner-keys.json'));
    using _ = await openKeyring({ records: fresh, sources: [folder.source] });
    expect((await fresh.listMasterKeys()).map(({ id }) => id)).toEqual([to]);
  });

  it('does not begin without the old key, and creates no new one', async () => {
    await sealMany(2);
    await copyFile(folder.masterKeyFile, join(folder.path, 'copy'));
    await rm(folder.masterKeyFile);
    await expect(rotate()).rejects.toMatchObject({ reason: 'master_key_missing' });
    await expect(readFile(folder.masterKeyFile)).rejects.toThrow('ENOENT');
    await copyFile(join(folder.path, 'copy'), folder.masterKeyFile);
    expect(await states()).toEqual(['current']);
    expect((await rotate()).rewrapped).toBe(2);
  });

  it('does not begin before the first start of a server', async () => {
    await expect(rotate()).rejects.toThrow('Start the server once');
  });

  it('runs only once at a time', async () => {
    await using _ = await lockRotation(folder.path);
    await expect(lockRotation(folder.path)).rejects.toMatchObject({ reason: 'illegal_transition' });
  });

  it('accepts no new data key under the old master key after it has begun', async () => {
    await sealMany(1);
    const [old = ''] = await keysInFile();
    await rotate(true);
    const record = { id: 'f'.repeat(32), masterKeyId: old, wrapped: 'x', claimed: 1, createdAt: 1 };
    expect(await folder.records.keyring.addDataKey(record)).toBe(false);
  });
});

describe('a rotation that is killed', () => {
  const program = () => `
    import { openSqliteRecords } from ${JSON.stringify(new URL('../../storage/src/index.ts', import.meta.url).href)};
    import { fileMasterKeys } from ${JSON.stringify(new URL('file/file-master-keys.ts', import.meta.url).href)};
    import { rotateMasterKey } from ${JSON.stringify(new URL('rotate.ts', import.meta.url).href)};
    const records = openSqliteRecords(${JSON.stringify(folder.recordsFile)});
    process.stdout.write('ready');
    await rotateMasterKey({
      records: [records.keyring], sources: [fileMasterKeys(${JSON.stringify(folder.masterKeyFile)})], keepOld: false,
      onProgress: (count) => process.stdout.write('.'),
    });
    process.stdout.write('done');`;

  /** Kills a rotation this long after it has begun. Returns whether it was faster. */
  const killAfter = async (ms: number): Promise<boolean> => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program()], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    await once(child.stdout, 'data');
    await sleep(ms);
    child.kill('SIGKILL');
    await exit;
    return output.includes('done');
  };

  it('at any moment, leaves everything readable, and the next one continues until nothing is on an old key', async () => {
    const sealed = await sealMany(800);
    let interrupted = 0;
    for (let round = 0; round < 9; round++) {
      const ms = Math.random() * 60;
      if (!(await killAfter(ms))) interrupted++;
      // A server starts in this state, and writes.
      await readAll(sealed.slice(0, 20));
      expect((await folder.records.keyring.listMasterKeys()).filter(({ state }) => state === 'current')).toHaveLength(
        1,
      );
      if (round % 3 === 2) {
        await rotate();
        expect(await folder.records.keyring.countNotCurrent()).toBe(0);
        expect(await states()).not.toContain('retiring');
      }
    }
    expect(interrupted).toBeGreaterThan(0);
    await rotate();
    expect(await keysInFile()).toHaveLength(1);
    await readAll(sealed);
  }, 60_000);

  it('between any two of its steps, is finished by the next one', async () => {
    const sealed = await sealMany(3);
    const { records } = folder;
    const dies = new Error('killed');
    const steps = [
      'switchMasterKey',
      'listNotCurrent',
      'rewrap',
      'countNotCurrent',
      'eraseReplaced',
      'retireMasterKeys',
    ] as const;
    for (const step of steps)
      for (const isAfter of [false, true]) {
        const killing = {
          ...records.keyring,
          [step]: async (...args: never[]) => {
            if (isAfter) await (records.keyring[step] as (...given: never[]) => Promise<unknown>)(...args);
            throw dies;
          },
        };
        const killed = rotateMasterKey({ records: [killing], sources: [folder.source], keepOld: false });
        await expect(killed, step).rejects.toBe(dies);
        await readAll(sealed);
        await rotate();
        expect(await states(), step).not.toContain('retiring');
        expect(await records.keyring.countNotCurrent(), step).toBe(0);
        expect(await keysInFile(), step).toHaveLength(1);
        await readAll(sealed);
      }
  });
});
