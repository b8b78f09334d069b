import { join } from 'node:path';
import { run } from '@soulbox/base';
import { nodeProgram } from '@soulbox/testing';

const repository = join(import.meta.dirname, '../..');

export interface Packages {
  readonly npm: string;
  readonly debian: string;
}

/** Runs `npm run package` with its results in `output`. */
export async function buildPackages(output: string, version: string): Promise<Packages> {
  const args = [join(repository, 'scripts/package.ts'), '--version', version, '--output', output];
  await run(nodeProgram, args, { cwd: repository, timeoutMs: 900_000 });
  return packagesIn(output, version);
}

export function packagesIn(output: string, version: string): Packages {
  return { npm: join(output, `soulbox-server-${version}.tgz`), debian: join(output, `soulbox_${version}_amd64.deb`) };
}
