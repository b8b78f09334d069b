import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Descriptions of the relative links of these pages that lead to no file or folder below `target`. */
export function findDeadLinks(target: string, pages: readonly string[]): string[] {
  return pages.flatMap((page) => {
    const text = readFileSync(join(target, page), 'utf8');
    const links = [...text.matchAll(/\]\(([^)\s]+)\)|\b(?:src|href)="([^"]+)"/g)].map(
      ([, link, url]) => link ?? url ?? '',
    );
    return links
      .filter((link) => !/^(?:[a-z]+:|#|\/)/.test(link))
      .filter((link) => !existsSync(join(target, dirname(page), link.replace(/#.*/, ''))))
      .map((link) => `${page}: links to ${link}, which is not there`);
  });
}
