import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { run } from '@soulbox/base';
import { nodePackage } from './npm-package.ts';
import type { Release } from './npm-package.ts';

interface Bom {
  serialNumber: string;
  metadata: Record<string, unknown>;
  components: Record<string, unknown>[];
}

/**
 * The content of the packages, as CycloneDX: npm's own list, and Bun, which is inside envd. The same content gives the
 * same file.
 */
export async function writeBom(root: string, program: string, output: string, release: Release): Promise<string> {
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only', '--omit', 'dev'];
  const bom = JSON.parse(await run('npm', args, { cwd: program, timeoutMs: 120_000 })) as Bom;
  const bun = JSON.parse(await readFile(join(root, 'node_modules/bun/package.json'), 'utf8')) as { version: string };
  bom.metadata['timestamp'] = new Date(release.epoch * 1000).toISOString();
  bom.components.push({
    type: 'application',
    'bom-ref': `bun@${bun.version}`,
    name: 'bun',
    version: bun.version,
    purl: `pkg:npm/bun@${bun.version}`,
    description: 'Compiled into apps/envd/compiled/envd',
  });
  bom.serialNumber = `urn:uuid:${uuidFrom(JSON.stringify({ ...bom, serialNumber: '' }))}`;
  const file = join(output, `soulbox_${release.version}.cdx.json`);
  await writeFile(file, `${JSON.stringify(bom, undefined, 2)}\n`);
  return file;
}

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

/** A UUID of version 8, whose bits the creator may choose. */
function uuidFrom(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
