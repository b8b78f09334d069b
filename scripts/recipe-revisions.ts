import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// `node scripts/recipe-revisions.ts` records the sources of our own programs in templates. A template is made again only
// when the revision of its recipe has increased (packages/templates/src/recipes/recipe.ts), so a test compares both.

const root = join(import.meta.dirname, '..');
const file = join(import.meta.dirname, 'recipe-revisions.json');

/** Programs of ours that a recipe puts into its template. */
const apps = ['code-interpreter', 'mcp-gateway'] as const;

export interface RecipeSources {
  readonly revision: number;
  /** Of everything in the app that can become a part of the template. */
  readonly sha256: string;
}

export type RecipeRevisions = Readonly<Record<string, RecipeSources>>;

export const readRecorded = (): RecipeRevisions => JSON.parse(readFileSync(file, 'utf8')) as RecipeRevisions;

export function readCurrent(): RecipeRevisions {
  return Object.fromEntries(apps.map((app) => [app, sourcesOf(app)]));
}

function sourcesOf(app: string): RecipeSources {
  const recipe = readFileSync(join(root, 'apps', app, 'build/recipe.ts'), 'utf8');
  const hash = createHash('sha256').update(recipe.replace(/revision: \d+/, ''));
  for (const path of sourcePaths(app)) hash.update(`\0${path}\0`).update(readFileSync(join(root, path)));
  return { revision: Number(/revision: (\d+)/.exec(recipe)?.[1]), sha256: hash.digest('hex') };
}

function sourcePaths(app: string): string[] {
  const folders = ['src', 'assets'].map((name) => join('apps', app, name));
  return folders
    .flatMap((folder) => {
      const entries = readdirSync(join(root, 'apps', app), { withFileTypes: true });
      if (!entries.some((entry) => entry.isDirectory() && folder.endsWith(`/${entry.name}`))) return [];
      return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
    })
    .filter((path) => !/\.test\.ts$|\/testing\/|\/__pycache__\//.test(path))
    .toSorted();
}

if (import.meta.main) writeFileSync(file, `${JSON.stringify(readCurrent(), null, 2)}\n`);
