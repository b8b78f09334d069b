import { mkdir } from 'node:fs/promises';
import { makeRunFolder } from '../container/start.ts';
import { runtimeRoot } from './layout.ts';

/** Makes the folders in /run that all sandboxes of a server share. */
export async function makeRunFolders(instance: number): Promise<void> {
  await makeRunFolder(instance);
  await mkdir(runtimeRoot(instance), { recursive: true, mode: 0o700 });
}
