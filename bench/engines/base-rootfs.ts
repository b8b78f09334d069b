import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { testTemplatesDirectory } from '@soulbox/testing';

/** Packs the root file system of the `base` template as tar, so that other engines can run the very same files. */
export async function packBaseRootfs(target: string): Promise<void> {
  const rootfs = join(await findBaseTemplate(), 'rootfs');
  await run('tar', ['--numeric-owner', '-C', rootfs, '-cf', target, '.'], { timeoutMs: 300_000 });
}

async function findBaseTemplate(): Promise<string> {
  for (const id of await readdir(testTemplatesDirectory)) {
    const folder = join(testTemplatesDirectory, id);
    const text = await readFile(join(folder, 'template.json'), 'utf8').catch(() => '{}');
    const { names } = JSON.parse(text) as { names?: string[] };
    if (names?.includes('base') === true) return folder;
  }
  throw new Error(`no base template in ${testTemplatesDirectory}`);
}
