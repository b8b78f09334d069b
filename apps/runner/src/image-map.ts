import { z } from 'zod';

/**
 * Replacements for images, as `pattern=target`. A pattern is a short name with its tag, in which `*` matches anything.
 * A target is `template:NAME` of the store, or another image, in which `*` stands for the match of the pattern's first
 * `*`.
 */
export type ImageMap = readonly string[];

export const imageMapSchema: z.ZodType<ImageMap> = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .pipe(z.array(z.string().regex(/^[^=]+=[^=]+$/, 'each entry must be pattern=target')));

/** Our templates replace E2B's own images. */
export const defaultImageMap: ImageMap = [
  'e2bdev/base:*=template:base',
  'e2bdev/code-interpreter:*=template:code-interpreter-v1',
  'e2bdev/desktop:*=template:desktop',
];

/** The target of the first pattern that matches this short name. Undefined: the image is taken from its registry. */
export function mapImage(map: ImageMap, shortName: string): string | undefined {
  for (const entry of map) {
    const [pattern = '', target = ''] = entry.split('=');
    const matched = formOf(pattern.trim()).exec(shortName);
    if (matched !== null) return target.trim().replace('*', () => matched[1] ?? '');
  }
  return undefined;
}

function formOf(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('(.*)')}$`);
}
