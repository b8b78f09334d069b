import { mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeTrust } from './trust.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'box-trust-'));
  await writeFile(join(directory, 'own.pem'), 'OURS\n', { mode: 0o600 });
});
afterEach(async () => {
  await removeTree(directory);
});

const system = (): string => join(directory, 'system.crt');
const publish = async (bundles = [join(directory, 'missing'), system()]): Promise<string> => {
  return await readFile(await writeTrust(join(directory, 'trust'), join(directory, 'own.pem'), bundles), 'utf8');
};

test('the file has the authorities of the system and ours', async () => {
  await writeFile(system(), 'THEIRS');
  expect(await publish()).toBe('THEIRS\nOURS\n');
});

test('the file is updated when either changes', async () => {
  await writeFile(system(), 'THEIRS\n');
  await publish();
  await writeFile(system(), 'OTHERS\n');
  expect(await publish()).toBe('OTHERS\nOURS\n');
  await writeFile(join(directory, 'own.pem'), 'NEW\n');
  expect(await publish()).toBe('OTHERS\nNEW\n');
});

test('without authorities of the system the file has only ours', async () => {
  expect(await publish([])).toBe('OURS\n');
});

test('every user of the host can read the file, whatever the umask of the server', async () => {
  const umask = process.umask(0o077);
  try {
    const folder = join(directory, 'trust');
    const file = await writeTrust(folder, join(directory, 'own.pem'), []);
    const modes = await Promise.all([folder, file].map(async (path) => await stat(path)));
    expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o755, 0o644]);
  } finally {
    process.umask(umask);
  }
});
