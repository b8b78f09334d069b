import { compareViews } from '../../exported/compare.ts';
import type { Exported } from '../../exported/open-exported.ts';
import { showPath } from '../../exported/show-path.ts';

/** One line for each file, and a warning when unchanged files may differ too. */
export async function printDifferences(first: Exported, second: Exported, isJson: boolean): Promise<void> {
  const [a, b] = [first.manifest.template, second.manifest.template];
  if (a.id !== b.id)
    console.error(`They have different templates (${a.source}, ${b.source}), whose files are not compared.`);
  for await (const { sign, path } of compareViews(first.files, second.files))
    console.log(isJson ? JSON.stringify({ sign, path: showPath(path) }) : `${sign} ${showPath(path)}`);
}
