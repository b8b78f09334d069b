import { mkdir, mkdtemp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { expect } from 'vitest';
import type { ImportOptions } from '../import/import-template.ts';
import { openTemplateStore } from '../store/template-store.ts';
import type { TemplateStore } from '../store/template-store.ts';
import { makeBusyboxRootfs } from './image.ts';

const parent = '/var/lib/soulbox-test';

export const quiet: ImportOptions = { onProgress: () => undefined, logger: silentLogger };
export const small: ImportOptions = {
  ...quiet,
  limits: { maxBytes: 64 * 1024 * 1024, maxEntries: 2000, timeoutMs: 30_000 },
};

/** A template store in a folder of its own, and a small root file system beside it to import. */
export interface ImportBench extends AsyncDisposable {
  readonly directory: string;
  readonly store: TemplateStore;
  readonly rootfs: string;
  /** Expects that no parts of a failed import are left, nor its mounts. */
  expectNothingLeft(): Promise<void>;
}

export async function openImportBench(): Promise<ImportBench> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  const directory = await mkdtemp(join(parent, 'import-'));
  const store = openTemplateStore(join(directory, 'templates'));
  const rootfs = join(directory, 'busybox');
  await makeBusyboxRootfs(rootfs);
  return {
    directory,
    store,
    rootfs,
    expectNothingLeft: async () => {
      const names = await readdir(store.directory);
      expect(names.filter((name) => name.startsWith('.'))).toEqual([]);
      expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(store.directory);
    },
    [Symbol.asyncDispose]: () => removeTree(directory),
  };
}
