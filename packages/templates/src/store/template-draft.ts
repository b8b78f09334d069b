import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { isAbandoned, writeOwner } from './store-lock.ts';
import { releaseScratchDisk } from './scratch-disk.ts';

const draftPrefix = '.building-';
/** Between the folder and its record are two system calls, and the rule of an encrypted folder. */
const youngMs = 60_000;
const removedPrefix = '.removed-';

/** A template that is being created. It is invisible until the store renames it into place. */
export interface TemplateDraft {
  /** Host folder of the draft, 0700. Everything in it except `rootfs` and template.json is deleted at the end. */
  readonly directory: string;
  /** An empty folder to fill. */
  readonly rootfs: string;
}

export async function createDraft(
  storeDirectory: string,
  templateId: string,
  prepare: (folder: string) => void,
): Promise<TemplateDraft> {
  const directory = join(storeDirectory, `${draftPrefix}${templateId}`);
  await mkdir(directory, { mode: 0o700 });
  try {
    prepare(directory);
    await writeOwner(directory);
    const rootfs = join(directory, 'rootfs');
    await mkdir(rootfs, { mode: 0o755 });
    return { directory, rootfs };
  } catch (error) {
    await removeTree(directory);
    throw error;
  }
}

export async function discardDraft(directory: string): Promise<void> {
  await releaseScratchDisk(directory);
  await removeTree(directory);
}

/**
 * Removes drafts whose process died and templates whose removal was interrupted. Returns the names of the removed
 * folders.
 */
export async function sweepDrafts(storeDirectory: string): Promise<string[]> {
  const gone: string[] = [];
  for (const name of await readdir(storeDirectory)) {
    const path = join(storeDirectory, name);
    if (!name.startsWith(removedPrefix) && !(name.startsWith(draftPrefix) && (await isAbandoned(path, youngMs))))
      continue;
    await discardDraft(path);
    gone.push(name);
  }
  return gone;
}

/** The name of a template that waits for its deletion: one rename, so that no reader sees a partial tree. */
export const removedName = (templateId: string): string => `${removedPrefix}${templateId}`;
