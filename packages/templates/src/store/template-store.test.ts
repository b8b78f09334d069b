import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findProcess, removeTree, run } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openScratchDisk } from './scratch-disk.ts';
import { openTemplateStore } from './template-store.ts';
import type { AddTemplate, TemplateStore } from './template-store.ts';

let directory: string;
let store: TemplateStore;

beforeEach(async () => {
  await mkdir('/var/lib/soulbox-test', { recursive: true, mode: 0o700 });
  directory = await mkdtemp('/var/lib/soulbox-test/store-');
  store = openTemplateStore(join(directory, 'templates'));
});
afterEach(async () => {
  await removeTree(directory);
});

function request(name: string, more: Partial<AddTemplate> = {}): AddTemplate {
  return {
    name,
    source: 'test',
    fill: async ({ rootfs }) => {
      await writeFile(join(rootfs, 'file'), name);
      return {};
    },
    ...more,
  };
}

test('a template is found by name and by id, with defaults filled in', async () => {
  const added = await store.add(request('one'));
  expect(added).toMatchObject({
    cpuCount: 2,
    memoryMb: 1024,
    diskMb: 10_240,
    defaultUser: 'user',
    defaultWorkdir: '/home/user',
  });
  expect(added.templateId).toMatch(/^[a-z0-9]{20}$/);
  expect(await store.find('one')).toEqual(added);
  expect(await store.find(added.templateId)).toEqual(added);
  expect(await openTemplateStore(store.directory).list()).toEqual([added]);
  expect(await readFile(join(added.rootfs, 'file'), 'utf8')).toBe('one');
  expect(await readdir(join(store.directory, added.templateId))).toEqual(['rootfs', 'template.json']);
});

test('the folder of a template is prepared while it is empty, and stays that folder', async () => {
  const prepared: { readonly entries: string[]; readonly inode: number }[] = [];
  const preparing = openTemplateStore(store.directory, silentLogger, {
    prepareDraft: (folder) => prepared.push({ entries: readdirSync(folder), inode: statSync(folder).ino }),
  });
  const { templateId } = await preparing.add(request('one'));
  expect(prepared).toEqual([{ entries: [], inode: statSync(join(store.directory, templateId)).ino }]);
});

test('a folder that cannot be prepared leaves no template', async () => {
  const preparing = openTemplateStore(store.directory, silentLogger, {
    prepareDraft: () => {
      throw new Error('no key');
    },
  });
  await expect(preparing.add(request('one'))).rejects.toThrow('no key');
  expect(await readdir(store.directory)).toEqual([]);
});

test('a folder in which nothing can be created after it was prepared leaves no template', async () => {
  const preparing = openTemplateStore(store.directory, silentLogger, {
    prepareDraft: (folder) => writeFileSync(join(folder, 'rootfs'), ''),
  });
  await expect(preparing.add(request('one'))).rejects.toThrow('EEXIST');
  expect(await readdir(store.directory)).toEqual([]);
});

test('a taken name is refused before the work begins, and replaced on request', async () => {
  const first = await store.add(request('one'));
  let filled = false;
  const second = request('one', {
    fill: async () => {
      filled = true;
      return await Promise.resolve({});
    },
  });
  await expect(store.add(second)).rejects.toMatchObject({ reason: 'name_taken' });
  expect(filled).toBe(false);
  const added = await store.add({ ...second, replace: true });
  expect((await store.find('one'))?.templateId).toBe(added.templateId);
  expect((await store.find(first.templateId))?.names).toEqual([]);
});

test('of several simultaneous imports of one name, exactly one succeeds', async () => {
  const results = await Promise.allSettled(Array.from({ length: 8 }, async () => await store.add(request('same'))));
  expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  expect(await store.list()).toHaveLength(1);
  expect((await readdir(store.directory)).filter((name) => name.startsWith('.'))).toEqual([]);
});

test('a fill that fails leaves nothing', async () => {
  const failing = request('one', { fill: async () => await Promise.reject(new Error('no')) });
  await expect(store.add(failing)).rejects.toThrow('no');
  expect(await readdir(store.directory)).toEqual([]);
});

test('facts that template.json cannot contain are refused and leave nothing', async () => {
  const odd = request('one', { fill: async () => await Promise.resolve({ cpuCount: 0, defaultWorkdir: 'relative' }) });
  await expect(store.add(odd)).rejects.toThrow(/cpuCount/);
  expect(await readdir(store.directory)).toEqual([]);
});

test.each(['', 'A', 'a b', '../x', 'a/b', 'a\0', 'a\n', 'ä', 'x'.repeat(129), 'x'.repeat(10_000)])(
  'the name %j is refused',
  async (name) => {
    await expect(store.add(request(name))).rejects.toMatchObject({ reason: 'bad_request' });
    expect(await store.find(name)).toBeUndefined();
    await expect(store.remove(name)).rejects.toMatchObject({ reason: 'template_not_found' });
  },
);

describe('an unusable template.json', () => {
  test.each([
    ['is no JSON', '{'],
    ['is of a later format', '{"formatVersion": 2}'],
    ['lacks everything', '{}'],
    ['is null', 'null'],
  ])('is left out if it %s', async (_, text) => {
    const good = await store.add(request('good'));
    const bad = join(store.directory, 'a'.repeat(20));
    await mkdir(bad);
    await writeFile(join(bad, 'template.json'), text);
    expect(await store.list()).toEqual([good]);
    expect(await store.find('a'.repeat(20))).toBeUndefined();
  });

  test('is left out if it names another id', async () => {
    const good = await store.add(request('good'));
    const bad = join(store.directory, 'b'.repeat(20));
    await mkdir(bad);
    await writeFile(
      join(bad, 'template.json'),
      await readFile(join(store.directory, good.templateId, 'template.json')),
    );
    expect(await store.list()).toEqual([good]);
  });
});

test('a mounted template is not removed', async () => {
  const added = await store.add(request('one'));
  const mountPoint = join(directory, 'mnt');
  await mkdir(mountPoint);
  await run('mount', ['--bind', added.rootfs, mountPoint]);
  try {
    await expect(store.remove('one')).rejects.toMatchObject({ reason: 'illegal_transition' });
  } finally {
    await run('umount', [mountPoint]);
  }
  await store.remove('one');
  expect(await store.list()).toEqual([]);
  expect(await readdir(store.directory)).toEqual([]);
});

describe('the sweep', () => {
  async function plantDraft(owner: object | undefined): Promise<string> {
    const draft = join(store.directory, '.building-abcdefghij0123456789');
    await mkdir(draft);
    if (owner !== undefined) await writeFile(join(draft, 'owner.json'), JSON.stringify(owner));
    return draft;
  }

  test('removes the draft of a dead process with its scratch disk, mounted or not', async () => {
    const child = spawn('true');
    const dead = findProcess(child.pid ?? 0) ?? { pid: child.pid ?? 0, startTicks: 1 };
    await once(child, 'exit');
    const draft = await plantDraft(dead);
    await openScratchDisk(draft, 16 * 1024 * 1024, 100);
    expect(await store.sweep()).toEqual(['.building-abcdefghij0123456789']);
    expect(await readdir(store.directory)).toEqual([]);
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(draft);
  });

  test('leaves the draft of a running process', async () => {
    await plantDraft(findProcess(process.pid));
    expect(await store.sweep()).toEqual([]);
  });

  test('leaves a draft whose process has not recorded itself yet', async () => {
    const draft = await plantDraft(undefined);
    expect(await store.sweep()).toEqual([]);
    await writeFile(join(draft, 'owner.json'), '{"pid":');
    expect(await store.sweep()).toEqual([]);
  });

  test('removes an old draft without an owner and half-removed templates', async () => {
    const aMinuteAgo = new Date(Date.now() - 61_000);
    await utimes(await plantDraft(undefined), aMinuteAgo, aMinuteAgo);
    await mkdir(join(store.directory, '.removed-abcdefghij0123456789'));
    expect(await store.sweep()).toHaveLength(2);
  });

  test('a lock of a dead process does not block others', async () => {
    await mkdir(join(store.directory, '.lock'));
    await writeFile(join(store.directory, '.lock/owner.json'), '{"pid":1,"startTicks":123456789}');
    expect((await store.add(request('one'))).names).toEqual(['one']);
  });
});
