import type { Logger } from '@soulbox/base';
import { finishDebian } from '../debian/finish-debian.ts';
import { bootstrapDebian } from '../debian/mmdebstrap.ts';
import { fetchNpm, installNpm } from '../debian/npm.ts';
import { baseSuite } from '../debian/packages.ts';
import type { TemplateFacts, TemplateStore } from '../store/template-store.ts';
import type { Template } from '../store/template.ts';
import { baseTemplateName } from './base.ts';
import { installNpmTree } from './npm-tree.ts';
import type { Recipe } from './recipe.ts';

export interface MakeTemplateOptions {
  /** Called with a few words as each step begins. */
  readonly onProgress: (step: string) => void;
  readonly logger: Logger;
  /** Make it anew although there is one. */
  readonly replace?: boolean;
  /** Aborted: what runs is ended, and nothing stays. */
  readonly signal?: AbortSignal;
}

/** What template.json names as the source of a template that was made by this recipe. */
function sourceOf({ name, revision }: Recipe): string {
  return name === baseTemplateName ? `debian:${baseSuite}/${revision}` : `recipe:${name}/${revision}`;
}

/**
 * Makes a template from its recipe: from 25 s and 400 MB for `base` to minutes. Needs root, mmdebstrap and npm.
 * Throws `name_taken` when it exists and `replace` is not set, `host_not_ready` when a step fails.
 */
export async function makeTemplate(
  store: TemplateStore,
  recipe: Recipe,
  options: MakeTemplateOptions,
): Promise<Template> {
  const startedAt = Date.now();
  const { logger, onProgress, replace = false, signal } = options;
  const template = await store.add({
    name: recipe.name,
    source: sourceOf(recipe),
    replace,
    fill: async ({ directory, rootfs }) => {
      const [archive] = await Promise.all([
        fetchNpm(directory),
        bootstrapDebian({ directory, rootfs, packages: recipe.packages, onProgress, signal }),
      ]);
      await installNpm(archive, rootfs);
      await finishDebian(rootfs);
      for (const tree of recipe.npm ?? []) {
        signal?.throwIfAborted();
        onProgress('installing npm packages');
        await installNpmTree(tree, rootfs, directory);
      }
      await recipe.finish?.(rootfs, directory);
      onProgress('measuring');
      return factsOf(recipe);
    },
  });
  const { templateId, sizeBytes } = template;
  logger.info({ templateId, name: recipe.name, sizeBytes, durationMs: Date.now() - startedAt }, 'template made');
  return template;
}

function factsOf({ startCommand, readyCommand, cpuCount, memoryMb, diskMb }: Recipe): TemplateFacts {
  return {
    environment: { LANG: 'C.UTF-8' },
    ...(startCommand === undefined ? {} : { startCommand }),
    ...(readyCommand === undefined ? {} : { readyCommand }),
    ...(cpuCount === undefined ? {} : { cpuCount }),
    ...(memoryMb === undefined ? {} : { memoryMb }),
    ...(diskMb === undefined ? {} : { diskMb }),
  };
}

/** Whether the template was made by this very revision of the recipe. */
export function isMadeBy(template: Template, recipe: Recipe): boolean {
  return template.source === sourceOf(recipe);
}

/** The template of a recipe; made when there is none, and anew when ours is of an older revision. One of the user's own is left alone. */
export async function ensureTemplate(
  store: TemplateStore,
  recipe: Recipe,
  options: MakeTemplateOptions,
): Promise<Template> {
  const found = await store.find(recipe.name);
  const outdated = found !== undefined && !isMadeBy(found, recipe) && /^(?:debian|recipe):/.test(found.source);
  if (found !== undefined && !outdated) return found;
  return await makeTemplate(store, recipe, { ...options, replace: outdated || options.replace === true });
}
