import { openAsBlob } from 'node:fs';
import { join } from 'node:path';
import { randomId } from '@soulbox/base';
import type { Envd } from '../../api/envd.ts';
import type { Target } from './read-target.ts';

/** Uploads under way at the same time. */
const width = 8;

/** Copies the target into the home of the sandbox's user, and gives what the API is to run. */
export async function upload(envd: Envd, target: Exclude<Target, { kind: 'code' }>): Promise<Record<string, string>> {
  const root = `~/soulbox-run-${randomId(8)}`;
  if (target.kind === 'file') {
    const path = `${root}/${target.name}`;
    await envd.upload(path, await openAsBlob(target.path));
    return { file: path };
  }
  const { files, entry } = target;
  const waiting = files.values();
  const work = async (): Promise<void> => {
    for (const file of waiting) await envd.upload(`${root}/${file}`, await openAsBlob(join(target.path, file)));
  };
  await Promise.all(Array.from({ length: width }, work));
  return { project: root, ...(entry === undefined ? {} : { entry }) };
}
