import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { testTemplatesDirectory } from '../server-process.ts';

/** Packs the root file system of the `base` template as tar, so that other engines can run the same files. */
export async function packBaseRootfs(target: string): Promise<void> {
  const folder = await findTemplateFolder('base');
  if (folder === undefined) throw new Error(`no base template in ${testTemplatesDirectory}`);
  const rootfs = join(folder, 'rootfs');
  await run('tar', ['--numeric-owner', '-C', rootfs, '-cf', target, '.'], { timeoutMs: 300_000 });
}

/** The folder of the template with this name in the store of the tests. */
export async function findTemplateFolder(name: string): Promise<string | undefined> {
  for (const id of await readdir(testTemplatesDirectory)) {
    const folder = join(testTemplatesDirectory, id);
    const text = await readFile(join(folder, 'template.json'), 'utf8').catch(() => '{}');
    const { names } = JSON.parse(text) as { names?: string[] };
    if (names?.includes(name) === true) return folder;
  }
  return undefined;
}
