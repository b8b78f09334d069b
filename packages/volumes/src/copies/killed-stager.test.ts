/** @module-tag violation */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { expect, test } from 'vitest';
import { checkVolume } from '../check/check-volume.ts';
import { noQuota, root } from '../testing/fresh-volume.ts';
import { createVolume, openVolume } from '../volume/open.ts';

const program = join(import.meta.dirname, '../testing/killed-stager.ts');
const lives = 4;
const lifeMsMax = 400;

/** Both files as a whole, from one moment. */
async function check(data: string): Promise<void> {
  await using volume = await openVolume(data, 'v');
  expect((await checkVolume(volume)).faults).toEqual([]);
  const numbers: number[] = [];
  for (const name of ['one', 'two']) {
    const inode = await volume.metadata.lookup(1, Buffer.from(name));
    const content = await volume.read(inode?.ino ?? 0, 0, 40_000);
    if (content.length === 0) return;
    expect(new Set(content).size).toBe(1);
    numbers.push(content[0] ?? 0);
  }
  const [one = 0, two = 0] = numbers;
  expect([0, 1, -255]).toContain(one - two);
}

test('a process that is killed while it saves a volume leaves a whole volume in the stage or none, and its own', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'killed-stager-'));
  createVolume(join(folder, 'data'), { id: 'v', quota: noQuota, root });
  await mkdir(join(folder, 'stage'));
  let staged = 0;
  for (let life = 0; life < lives; life++) {
    const child = spawn(process.execPath, ['--conditions=soulbox-source', program, folder], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let [output, faults] = ['', ''];
    child.stdout.setEncoding('latin1').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (faults += text));
    const ended = once(child, 'close');
    await Promise.race([once(child.stdout, 'data'), ended]);
    await sleep(Math.random() * lifeMsMax);
    child.kill('SIGKILL');
    await ended;
    expect(faults).toBe('');
    staged += output.split('\n').length - 1;
    expect(existsSync(join(folder, 'stage/v/metadata.sqlite'))).toBe(true);
    // Opening would change what the next process finds.
    await cp(join(folder, 'stage'), join(folder, 'copy'), { recursive: true });
    await check(join(folder, 'copy'));
    await removeTree(join(folder, 'copy'));
  }
  expect(staged).toBeGreaterThan(lives);
  await using own = await openVolume(join(folder, 'data'), 'v');
  expect((await checkVolume(own)).faults).toEqual([]);
  await own[Symbol.asyncDispose]();
  await removeTree(folder);
}, 60_000);
