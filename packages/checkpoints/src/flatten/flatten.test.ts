import { execFileSync } from 'node:child_process';
import { copyFile, lstat, mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import { OverlayLab } from '../testing/overlay-lab.ts';
import type { TestStore } from '../testing/test-store.ts';
import { openTestStore } from '../testing/test-store.ts';
import { listAttributes, removeAttribute, setAttribute } from '@soulbox/linux/file-attributes';
import type { Entry } from './tree.ts';
import { isWhiteout, listEntries } from './tree.ts';

const base = `
  mkdir -p etc/conf.d deep/a/b/c swap keep gone
  for file in etc/passwd etc/conf.d/1 etc/conf.d/2 deep/a/b/c/f keep/1 keep/2 gone/1 swap/f file-to-folder; do
    echo "base $file" >"$file"
  done
  ln -s keep folder-link
  mkfifo pipe
`;

const first = `
  echo first >etc/passwd                         # changed
  rm etc/conf.d/1                                # hidden
  rm -r gone                                     # a hidden folder
  rm -r deep && mkdir deep && echo n >deep/new   # hidden and made anew: opaque
  mkdir -p mine/inner/core && echo 1 >mine/inner/core/f && echo 2 >mine/inner/g && echo 3 >mine/inner/h
  ln mine/inner/g mine/second-name && ln mine/inner/g third-name
  rm file-to-folder && mkdir file-to-folder && echo in >file-to-folder/in
  rm -r swap && echo file >swap
  rm folder-link && mkdir folder-link && echo mine >folder-link/mine
  mkdir plain && echo x >plain/x && mkdir -m 1777 sticky && chown 1000:1000 sticky
  truncate -s 50M sparse && echo end >>sparse
  mkfifo own-pipe && mknod null c 1 3 && mknod block b 7 200
  ln -s /etc/passwd outside && ln -s ../../../../../../etc up
  touch -d '2001-02-03 04:05:06.123456789' mine/inner/core/f
  touch -d '2002-02-03 04:05:06.987654321' mine/inner
  install -o 7 -g 8 -m 6755 /dev/null special
  printf x >"$(printf 'odd\\377\\nname')"
  # A server that is killed leaves its socket.
  "$1" -e 'require("net").createServer().listen("socket", () => process.kill(process.pid, "SIGKILL"))' || test -S socket
`;

const second = `
  rm etc/conf.d/2 && echo again >etc/conf.d/1   # back again over a whiteout
  mkdir gone && echo new >gone/2                # a folder over a hidden one
  rm mine/inner/h                               # hidden in a folder that only the layer below has
  rm -r mine/inner/core && mkdir mine/inner/core && echo new >mine/inner/core/n
  rm file-to-folder/in && rmdir file-to-folder && echo file-again >file-to-folder
  rm swap && mkdir swap && echo folder-again >swap/g
  rm -r plain && ln -s /etc plain               # where a copy that follows links would leave the image
  rm outside && mkdir outside && echo n >outside/n
  rm -r folder-link && ln -s keep folder-link
  echo changed >mine/second-name
  chmod 700 keep && chown 5:6 keep
  rm null
  touch -d '2003-02-03 04:05:06.5' mine/inner
  ln keep/1 keep/linked
`;

const third = `
  rm -r mine/inner && mkdir mine/inner && rm -r outside && rm etc/conf.d/1 && rm plain && mkdir plain && echo p >plain/p
  rm -r deep && echo file >deep
`;

let lab: OverlayLab;
let shop: TestStore;
beforeEach(async () => {
  shop = await openTestStore();
  lab = await OverlayLab.open(base);
});
afterEach(async () => {
  await lab[Symbol.asyncDispose]();
  await shop[Symbol.asyncDispose]();
});

/** Makes sealed layers in the store. Topmost first. */
async function makeLayers(scripts: readonly ((root: string) => Promise<void>)[]): Promise<string[]> {
  const ids: string[] = [];
  for (const [index, script] of scripts.entries()) {
    const image = await lab.write(
      ids.map((id) => shop.store.layerPath(id)),
      script,
    );
    const id = `l${index}`;
    await rename(image, shop.store.layerPath(id));
    await shop.store.sealLayer(id);
    ids.unshift(id);
  }
  return ids;
}

const script = (text: string) => async (root: string) => {
  await run('sh', ['-euc', text, 'sh', process.execPath], { cwd: root });
};

const lookAt = (ids: readonly string[]): Promise<Record<string, unknown>> =>
  lab.look(ids.map((id) => shop.store.layerPath(id)));

function listAll(folder: Buffer): Entry[] {
  return listEntries(folder).flatMap((entry) => [entry, ...(entry.stats.isDirectory() ? listAll(entry.path) : [])]);
}

/** Runs `look` on a layer's own folder. */
async function within<T>(layerId: string, look: (upper: string) => Promise<T>): Promise<T> {
  const folder = join(lab.mountPoints, 'inside');
  await mkdir(folder, { recursive: true });
  await run('mount', ['-t', 'ext4', '-o', 'loop,ro', shop.store.layerPath(layerId), folder]);
  try {
    return await look(join(folder, 'u'));
  } finally {
    await run('umount', ['--', folder]);
  }
}

test('one layer in the place of two or three shows exactly the same tree to a sandbox', async () => {
  const ids = await makeLayers([script(first), script(second), script(third)]);
  for (const count of [2, 3]) {
    const [upper, lower] = [ids.slice(0, -count), ids.slice(-count)];
    await shop.store.flatten(lower, `flat${count}`);
    await (await shop.reopen()).verifyLayer(`flat${count}`);
    expect(await lookAt([...upper, `flat${count}`])).toEqual(await lookAt(ids));
  }
  await shop.store.flatten(ids.slice(0, 2), 'top');
  expect(await lookAt(['top', ids[2] ?? ''])).toEqual(await lookAt(ids));
});

test('a merged layer can be merged again', async () => {
  const ids = await makeLayers([script(first), script(second), script(third)]);
  await shop.store.flatten(ids.slice(1), 'low');
  await shop.store.flatten([ids[0] ?? '', 'low'], 'all');
  expect(await lookAt(['all'])).toEqual(await lookAt(ids));
});

test('user attributes and file capabilities are copied, and removed ones do not reappear', async () => {
  const set = (root: string, path: string, name: string, value: string): void =>
    setAttribute(Buffer.from(join(root, path)), name, value);
  const ids = await makeLayers([
    async (root) => {
      await writeFile(join(root, 'program'), '', { mode: 0o755 });
      set(root, 'program', 'security.capability', `\x01\0\0\x02\0\x20${'\0'.repeat(14)}`);
      set(root, 'program', 'user.note', 'x'.repeat(200));
      set(root, 'keep', 'user.old', 'of the lower layer');
      set(root, 'keep', 'user.both', '1');
    },
    async (root) => {
      await run('chmod', ['711', join(root, 'keep')]);
      removeAttribute(Buffer.from(join(root, 'keep')), 'user.old');
      set(root, 'keep', 'user.both', '2');
    },
  ]);
  await shop.store.flatten(ids, 'flat');
  const seen = await lookAt(['flat']);
  expect(seen).toEqual(await lookAt(ids));
  expect(JSON.stringify(seen, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))).toMatch(
    /user\.both=2.*security\.capability/s,
  );
});

test('no link of a layer is followed, and files of the host are not changed', async () => {
  const victim = join(lab.directory, 'victim');
  await mkdir(victim);
  await writeFile(join(victim, 'secret'), 'secret of the host');
  const ids = await makeLayers([
    script(`ln -s ${victim} folder && ln -s ${victim}/secret file && mkdir real && ln -s ${victim}/secret real/x`),
    script(
      `rm folder && mkdir folder && echo evil >folder/secret && rm file && echo evil >file && rm real/x && echo e >real/x`,
    ),
    script(`rm -r folder && ln -s ${victim} folder && rm -r real && ln -s ${victim} real`),
  ]);
  await shop.store.flatten(ids, 'flat');
  expect(await readFile(join(victim, 'secret'), 'utf8')).toBe('secret of the host');
  expect(await readdir(victim)).toEqual(['secret']);
  await within('flat', async (upper) => {
    expect((await lstat(join(upper, 'folder'))).isSymbolicLink()).toBe(true);
    execFileSync('sh', ['-c', '! grep -r "secret of the host" .'], { cwd: upper });
  });
});

test('holes stay holes, and the image uses no more space than its data', async () => {
  const ids = await makeLayers([script(first), script(second)]);
  await shop.store.flatten(ids, 'flat');
  expect((await stat(shop.store.layerPath('flat'))).blocks * 512).toBeLessThan(4 * 1024 * 1024);
});

test('of overlayfs only whiteouts that the template may need and opaque marks are kept', async () => {
  const ids = await makeLayers([script(first), script(second)]);
  await shop.store.flatten(ids, 'flat');
  await within('flat', (upper) => {
    const entries = listAll(Buffer.from(upper));
    const hidden = entries.filter(({ stats }) => isWhiteout(stats));
    expect(hidden.map(({ path }) => path.toString('latin1').slice(upper.length)).sort()).toEqual([
      '/etc/conf.d/2',
      '/null',
    ]);
    const attributes = new Set(entries.flatMap(({ path }) => listAttributes(path)));
    expect([...attributes]).toEqual(['trusted.overlay.opaque']);
    return Promise.resolve();
  });
});

describe('a failed merge leaves no layer and no other files', () => {
  const layersNow = (): Promise<string[]> => readdir(join(shop.directory, 'layers'));

  test('because a layer is damaged', async () => {
    const ids = await makeLayers([script(first), script(second)]);
    await shop.reopen();
    await copyFile(shop.store.layerPath('l1'), shop.store.layerPath('l0'));
    const before = await layersNow();
    await expect(shop.store.flatten(ids, 'flat')).rejects.toMatchObject({ reason: 'state_damaged' });
    expect(await layersNow()).toEqual(before);
  });

  test('because the name is taken', async () => {
    const ids = await makeLayers([script(first), script(second)]);
    await expect(shop.store.flatten(ids, 'l0')).rejects.toMatchObject({ reason: 'name_taken' });
    await shop.store.verifyLayer('l0');
  });

  test.for([
    ['trusted.overlay.redirect', '/elsewhere'],
    ['trusted.overlay.metacopy', ''],
    ['trusted.overlay.opaque', 'x'],
  ] as const)('because overlayfs marked something with %s=%s', async ([name, value]) => {
    const image = await lab.write([], script(first));
    const folder = join(lab.mountPoints, 'edit');
    await mkdir(folder);
    await run('mount', ['-t', 'ext4', '-o', 'loop', image, folder]);
    setAttribute(Buffer.from(join(folder, 'u', 'mine')), name, value);
    await run('umount', ['--', folder]);
    await rename(image, shop.store.layerPath('l0'));
    await shop.store.sealLayer('l0');
    await expect(shop.store.flatten(['l0'], 'flat')).rejects.toMatchObject({ reason: 'internal' });
    expect(await layersNow()).toEqual(['l0.img', 'l0.json']);
  });

  test('because a folder is deeper than the maximum length of a path', async () => {
    const [id = ''] = await makeLayers([
      script(
        'name=$(printf "%0200d" 0); for i in $(seq 30); do mkdir "$name" && cd -P -- "$name" 2>/dev/null || exit 0; done',
      ),
    ]);
    const outcome = await shop.store.flatten([id], 'flat').then(
      () => 'merged',
      (error: unknown) => (error as { reason: string }).reason,
    );
    if (outcome === 'merged') expect(await lookAt(['flat'])).toEqual(await lookAt([id]));
    else expect([outcome, await layersNow()]).toEqual(['internal', ['l0.img', 'l0.json']]);
  });
});
