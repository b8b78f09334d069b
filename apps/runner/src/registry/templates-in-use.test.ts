import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findTemplatesInUse } from './templates-in-use.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-in-use-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function write(folder: string, name: string, content: string): Promise<void> {
  await mkdir(join(directory, folder), { recursive: true });
  await writeFile(join(directory, folder, name), content);
}

it('includes the templates of paused sandboxes and snapshots, although nothing has them mounted', async () => {
  await write('sandboxes', 'ia.json', '{"templateId":"t1","state":"paused"}');
  await write('snapshots', 's.json', '{"templateId":"t2"}');
  await write('sandboxes', 'ib.json.1.2.tmp', 'half');
  expect(await findTemplatesInUse(directory)).toEqual(new Set(['t1', 't2']));
});

it('finds none in a data folder that no server has used', async () => {
  expect(await findTemplatesInUse(directory)).toEqual(new Set());
});

it.each(['', '{', '{"templateId":7}'])(
  'throws for an unreadable record (%j), instead of assuming that it needs nothing',
  async (text) => {
    await write('snapshots', 's.json', text);
    await expect(findTemplatesInUse(directory)).rejects.toThrow();
  },
);
