import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ignore from 'ignore';
import type { Ignore } from 'ignore';

export interface IgnoreRules {
  /** Reads the rules of a folder, as the walk enters it. Paths are from the root on; the root is empty. */
  enter(folder: string): void;
  isIgnored(path: string, isFolder: boolean): boolean;
}

const maxRulesBytes = 1024 * 1024;

/** The rules of all `.gitignore` files, of which the innermost that knows a path decides. `.git` is always ignored. */
export function createIgnoreRules(root: string): IgnoreRules {
  const byFolder = new Map<string, Ignore>();
  return {
    enter(folder) {
      const text = readRules(join(root, folder, '.gitignore'));
      if (text !== undefined) byFolder.set(folder, ignore.default().add(text));
    },
    isIgnored(path, isFolder) {
      if (path.split('/').at(-1) === '.git') return true;
      for (let folder = parentOf(path); folder !== undefined; folder = parentOf(folder)) {
        const rules = byFolder.get(folder);
        if (rules === undefined) continue;
        const below = folder === '' ? path : path.slice(folder.length + 1);
        // Of names such as `...`, which the library refuses, no rule knows anything.
        if (!ignore.default.isPathValid(below)) continue;
        const { ignored, unignored } = rules.test(isFolder ? `${below}/` : below);
        if (ignored || unignored) return ignored;
      }
      return false;
    },
  };
}

/** Undefined above the root. */
function parentOf(path: string): string | undefined {
  if (path === '') return undefined;
  const end = path.lastIndexOf('/');
  return end === -1 ? '' : path.slice(0, end);
}

function readRules(file: string): string | undefined {
  try {
    const text = readFileSync(file, 'utf8');
    return text.length > maxRulesBytes ? undefined : text;
  } catch {
    return undefined;
  }
}
