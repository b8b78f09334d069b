import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';

const folder = join(import.meta.dirname, '../node_modules/.cache/tests-compile');
/** Our sources and what they import have about 3,000. Each run adds one for each test file, which nobody uses again. */
const entriesMax = 10_000;

/** Runs before the tests whose files Node loads itself. */
export default async function limitCompileCache(): Promise<void> {
  const entries = await readdir(folder, { recursive: true }).catch(() => []);
  if (entries.length > entriesMax) await removeTree(folder);
}
