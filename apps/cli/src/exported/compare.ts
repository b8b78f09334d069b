import { createHash } from 'node:crypto';
import type { FileView, ViewedFile } from './file-view.ts';

export interface Difference {
  /**
   * `+`: only in the second. `-`: only in the first. `~`: in both, and different. A view has no files that are as in the
   * template, so `+` and `-` may also be a file of the template that only one of them has changed.
   */
  readonly sign: '+' | '-' | '~';
  readonly path: string;
}

/** The files in which two views differ: kind, permissions, size or content. Times and owners do not count. */
export async function* compareViews(first: FileView, second: FileView): AsyncGenerator<Difference> {
  for (const path of [...new Set([...first.keys(), ...second.keys()])].toSorted()) {
    const [a, b] = [first.get(path), second.get(path)];
    // A deleted file is one of the template, which the other view does not list.
    if (a === undefined || b === undefined) {
      const isDeleted = (a ?? b)?.kind === 'deleted';
      yield { sign: (b === undefined) === isDeleted ? '+' : '-', path };
    } else if (!(await isSame(a, b))) yield { sign: signOf(a, b), path };
  }
}

function signOf(a: ViewedFile, b: ViewedFile): Difference['sign'] {
  if (b.kind === 'deleted') return '-';
  return a.kind === 'deleted' ? '+' : '~';
}

async function isSame(a: ViewedFile, b: ViewedFile): Promise<boolean> {
  if (a.kind !== b.kind || a.mode !== b.mode) return false;
  if (a.kind !== 'file' && a.kind !== 'link') return true;
  return a.sizeBytes === b.sizeBytes && (await digestOf(a)) === (await digestOf(b));
}

async function digestOf(file: ViewedFile): Promise<string> {
  const digest = createHash('sha256');
  for await (const block of file.read()) digest.update(block);
  return digest.digest('hex');
}
