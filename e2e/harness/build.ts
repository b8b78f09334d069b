import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { onTestFinished } from 'vitest';
import { askApi } from './http.ts';

/** A name that no other test uses. The template is deleted at the end of the test and must have no sandboxes then. */
export function templateName(): string {
  const name = `e2e-${Math.random().toString(36).slice(2, 12)}`;
  onTestFinished(async () => {
    await askApi('DELETE', `/templates/${name}`);
  });
  return name;
}

/** A folder with these files, for `COPY`. It is deleted at the end of the test. */
export async function folderWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-e2e-build-'));
  onTestFinished(async () => {
    await removeTree(folder);
  });
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  return folder;
}
