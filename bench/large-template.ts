import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { importTemplate, openTemplateStore } from '@soulbox/templates';
import { testTemplatesDirectory } from '@soulbox/testing';
import { packBaseRootfs } from '@soulbox/testing/engines';

/** Name of a template like `base` whose sandboxes have 4 GiB of memory. */
export const largeTemplate = 'bench-large';
const memoryMb = 4096;

/** Creates it if it is missing: some 10 s and 200 MB. It stays for the next run. */
export async function ensureLargeTemplate(): Promise<void> {
  const store = openTemplateStore(testTemplatesDirectory, silentLogger);
  if ((await store.find(largeTemplate)) !== undefined) return;
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-bench-'));
  try {
    const archive = join(folder, 'base.tar');
    await packBaseRootfs(archive);
    await importTemplate(store, largeTemplate, `tar:${archive}`, {
      tlsVerify: true,
      defaults: { cpuCount: 2, memoryMb, diskMb: 10_240 },
      logger: silentLogger,
      onProgress: () => undefined,
    });
  } finally {
    await removeTree(folder);
  }
}
