import { z } from 'zod';

/**
 * Where images are taken from, as `pattern=target`. A pattern is a short name with its tag, in which `*` is anything. A target is
 * `template:NAME` of the store, or another image, in which `*` is what the pattern's first `*` matched.
 */
export type ImageMap = readonly string[];

export const imageMapSchema: z.ZodType<ImageMap> = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .pipe(z.array(z.string().regex(/^[^=]+=[^=]+$/, 'each entry must be pattern=target')));

/** E2B's own images are what our templates stand for. */
export const defaultImageMap: ImageMap = [
  'e2bdev/base:*=template:base',
  'e2bdev/code-interpreter:*=template:code-interpreter-v1',
  'e2bdev/desktop:*=template:desktop',
];

/** What an image of this short name is taken from, by the first pattern that matches; undefined: from its registry. */
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
