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
  /** Called with a short description at the start of each step. */
  readonly onProgress: (step: string) => void;
  readonly logger: Logger;
  /** Creates it again even if there is one. */
  readonly replace?: boolean;
  /** When it aborts, running programs are ended and nothing is left. */
  readonly signal?: AbortSignal;
}

/** The source in template.json of a template that was created by this recipe. */
function sourceOf({ name, revision }: Recipe): string {
  return name === baseTemplateName ? `debian:${baseSuite}/${revision}` : `recipe:${name}/${revision}`;
}

/**
 * Creates a template from its recipe: from 25 s and 400 MB for `base` up to minutes. Needs root, mmdebstrap and npm.
 * Throws `name_taken` if it exists and `replace` is not set, `host_not_ready` if a step fails.
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
  logger.info({ templateId, name: recipe.name, sizeBytes, durationMs: Date.now() - startedAt }, 'template built');
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

/** Whether the template was created by this revision of the recipe. */
export function isMadeBy(template: Template, recipe: Recipe): boolean {
  return template.source === sourceOf(recipe);
}

/**
 * The template of a recipe; created if there is none, and created again if ours is of an older revision. The user's own
 * template is left unchanged.
 */
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
