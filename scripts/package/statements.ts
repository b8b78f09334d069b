import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from '@soulbox/base';
import { nodePackage } from './npm-package.ts';
import type { Release } from './npm-package.ts';

/**
 * The sources and tools of the build: an in-toto statement with a SLSA provenance predicate, without a signature. The
 * publisher of the files signs it.
 */
export async function writeProvenance(
  root: string,
  output: string,
  release: Release,
  files: readonly string[],
): Promise<string> {
  const commit = (await git(root, 'rev-parse', 'HEAD')).trim();
  const isClean = (await git(root, 'status', '--porcelain')) === '';
  const subject = await Promise.all(
    files.map(async (file) => ({ name: basename(file), digest: { sha256: await digestOf(file) } })),
  );
  const lock = await digestOf(join(root, 'package-lock.json'));
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject,
    predicateType: 'https://slsa.dev/provenance/v1',
    predicate: {
      buildDefinition: {
        buildType: 'urn:soulbox:npm-run-package:1',
        externalParameters: { version: release.version, sourceDateEpoch: release.epoch },
        internalParameters: { [nodePackage]: release.nodeVersion, dpkg: await dpkgVersion() },
        resolvedDependencies: [
          { name: 'source', digest: { gitCommit: commit }, annotations: { hasLocalChanges: !isClean } },
          { name: 'package-lock.json', digest: { sha256: lock } },
        ],
      },
      runDetails: { builder: { id: 'urn:soulbox:builder:workspace' }, metadata: {} },
    },
  };
  const file = join(output, `soulbox_${release.version}.intoto.json`);
  await writeFile(file, `${JSON.stringify(statement, undefined, 2)}\n`);
  return file;
}

export async function git(root: string, ...args: readonly string[]): Promise<string> {
  return await run('git', ['-C', root, ...args]);
}

async function dpkgVersion(): Promise<string> {
  return /version (\S+)/.exec(await run('dpkg-deb', ['--version']))?.[1] ?? 'unknown';
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
