import { z } from 'zod';

/** One line of the map: images whose short name matches `pattern` are taken from `target`. */
export interface ImageMapping {
  readonly pattern: string;
  /** `template:NAME` of the store, or another image. `*` in it stands for what the pattern's first `*` matched. */
  readonly target: string;
}

const mapping = z.string().transform((text, issues): ImageMapping => {
  const [pattern = '', target = '', ...rest] = text.split('=').map((part) => part.trim());
  if (pattern === '' || target === '' || rest.length > 0)
    issues.addIssue({ code: 'custom', message: `"${text}" is not of the form pattern=target` });
  return { pattern, target };
});

/** `pattern=target,pattern=target`; the first that matches counts. */
export const imageMapSchema: z.ZodType<readonly ImageMapping[]> = z
  .string()
  .transform((text) => text.split(',').map((entry) => entry.trim()))
  .pipe(z.array(mapping));

/** E2B's own images are what our templates stand for. */
export const defaultImageMap: readonly ImageMapping[] = [
  { pattern: 'e2bdev/base:*', target: 'template:base' },
  { pattern: 'e2bdev/code-interpreter:*', target: 'template:code-interpreter-v1' },
  { pattern: 'e2bdev/desktop:*', target: 'template:desktop' },
];

/** What an image of this short name is taken from; undefined: from its registry. */
export function mapImage(map: readonly ImageMapping[], shortName: string): string | undefined {
  for (const { pattern, target } of map) {
    const matched = formOf(pattern).exec(shortName);
    if (matched !== null) return target.replace('*', matched[1] ?? '');
  }
  return undefined;
}

function formOf(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('(.*)')}$`);
}
