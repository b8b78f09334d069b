import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';

type Options = Parameters<typeof startServer>[0];

/**
 * Starts a server with the code of a clone, in which `npm ci` has run. Undefined: with the code of this one. An earlier
 * version refuses settings that it does not know, so they are left out.
 */
export async function startFrom(clone: string | undefined, options: Options): Promise<ServerProcess> {
  if (clone === undefined) return await startServer(options);
  const folder = resolve(clone);
  const known = await readFile(join(folder, 'docs/config.md'), 'utf8');
  const settings = Object.entries(options.environment ?? {}).filter(([name]) => known.includes(`\`${name}\``));
  const testing = (await import(join(folder, 'packages/testing/src/index.ts'))) as typeof import('@soulbox/testing');
  return await testing.startServer({ ...options, environment: Object.fromEntries(settings) });
}
