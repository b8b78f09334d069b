import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { randomId } from '@soulbox/base';
import type { Programs } from '@soulbox/envd-client';
import type { Target } from './read-target.ts';

/** Limit of simultaneous uploads. */
const width = 8;
/** Timeout of one file. */
const uploadMs = 300_000;

/** Copies the target into the home of the sandbox's user. Returns what the API must run. */
export async function upload(
  envd: Programs,
  target: Exclude<Target, { kind: 'code' }>,
): Promise<Record<string, string>> {
  const root = `~/soulbox-run-${randomId(8)}`;
  const send = async (path: string, source: string): Promise<void> =>
    await envd.upload(path, createReadStream(source), { timeoutMs: uploadMs });
  if (target.kind === 'file') {
    const path = `${root}/${target.name}`;
    await send(path, target.path);
    return { file: path };
  }
  const { files, entry } = target;
  const waiting = files.values();
  const work = async (): Promise<void> => {
    for (const file of waiting) await send(`${root}/${file}`, join(target.path, file));
  };
  await Promise.all(Array.from({ length: width }, work));
  return { project: root, ...(entry === undefined ? {} : { entry }) };
}
