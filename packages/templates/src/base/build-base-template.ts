import type { Logger } from '@soulbox/base';
import type { TemplateStore } from '../store/template-store.ts';
import type { Template } from '../store/template.ts';
import { finishBase } from './finish-base.ts';
import { bootstrapDebian } from './mmdebstrap.ts';
import { fetchNpm, installNpm } from './npm.ts';
import { baseSuite } from './packages.ts';

/** Raised when the recipe changes, so that the next start makes the template anew. */
const recipe = 3;
const source = `debian:${baseSuite}/${recipe}`;

/** The name of the template that create uses when the caller names none. */
export const baseTemplateName = 'base';

export interface BuildBaseOptions {
  /** Called with a few words as each step begins. */
  readonly onProgress: (step: string) => void;
  readonly logger: Logger;
  /** Make it anew although there is one. */
  readonly replace?: boolean;
}

/**
 * Makes the template `base` from Debian packages: about 25 s and 400 MB. Needs root, mmdebstrap and npm.
 * Throws `name_taken` when it exists and `replace` is not set, `host_not_ready` when a step fails.
 */
export async function buildBaseTemplate(store: TemplateStore, options: BuildBaseOptions): Promise<Template> {
  const startedAt = Date.now();
  const template = await store.add({
    name: baseTemplateName,
    source,
    replace: options.replace ?? false,
    fill: async ({ directory, rootfs }) => {
      const [archive] = await Promise.all([
        fetchNpm(directory),
        bootstrapDebian(directory, rootfs, options.onProgress),
      ]);
      await installNpm(archive, rootfs);
      await finishBase(rootfs);
      options.onProgress('measuring');
      return { environment: { LANG: 'C.UTF-8' } };
    },
  });
  const { templateId, sizeBytes } = template;
  options.logger.info({ templateId, sizeBytes, durationMs: Date.now() - startedAt }, 'base template built');
  return template;
}

/** The base template; made when there is none, and anew when ours is of an older recipe. */
export async function ensureBaseTemplate(store: TemplateStore, options: BuildBaseOptions): Promise<Template> {
  const found = await store.find(baseTemplateName);
  const outdated = found !== undefined && found.source !== source && found.source.startsWith('debian:');
  if (found !== undefined && !outdated) return found;
  return await buildBaseTemplate(store, { ...options, replace: outdated || options.replace === true });
}
