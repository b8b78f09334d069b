import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import type { Release } from './npm-package.ts';
import { listPackages } from './third-party.ts';
import type { BundledPackage, ThirdParty } from './third-party.ts';

interface Bom {
  serialNumber: string;
  metadata: Record<string, unknown>;
  components: Record<string, unknown>[];
}

/**
 * The content of the packages, as CycloneDX. npm lists the locked libraries of `program`. This adds what else is in its
 * `node_modules`, such as npm, and the packages that are `bundled` into its files. The same content gives the same file.
 */
export async function writeBom(
  program: string,
  output: string,
  release: Release,
  bundled: readonly BundledPackage[],
): Promise<string> {
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only', '--omit', 'dev'];
  const bom = JSON.parse(await run('npm', args, { cwd: program, timeoutMs: 120_000 })) as Bom;
  bom.metadata['timestamp'] = new Date(release.epoch * 1000).toISOString();
  // npm gives a package its alias as name, such as `undici8`. Its reference has the name under which others know it.
  for (const component of bom.components) component['name'] = String(component['bom-ref']).replace(/(?<=.)@.*$/, '');
  const known = new Set(bom.components.map((each) => each['bom-ref']));
  const add = (each: ThirdParty, description?: string): void => {
    const component = describeComponent(each);
    if (known.has(component['bom-ref'])) return;
    known.add(component['bom-ref']);
    bom.components.push({ ...component, ...(description !== undefined && { description }) });
  };
  for (const each of bundled) add(each, `Compiled into ${each.within.join(', ')}`);
  for (const each of listPackages(join(program, 'node_modules'))) add(each);
  bom.serialNumber = `urn:uuid:${uuidFrom(JSON.stringify({ ...bom, serialNumber: '' }))}`;
  const file = join(output, `soulbox_${release.version}.cdx.json`);
  await writeFile(file, `${JSON.stringify(bom, undefined, 2)}\n`);
  return file;
}

/** In the form of npm's own components. */
function describeComponent({ name, version, license }: ThirdParty): Record<string, unknown> {
  return {
    'bom-ref': `${name}@${version}`,
    type: 'library',
    name,
    version,
    purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
    ...(license !== undefined && { licenses: [describeLicence(license)] }),
  };
}

/** CycloneDX tells an identifier of SPDX from an expression of several, and both from other names. */
function describeLicence(license: string): Record<string, unknown> {
  if (/ (AND|OR|WITH) /.test(license)) return { expression: license };
  return { license: /^[\w.+-]+$/.test(license) ? { id: license } : { name: license } };
}

/** A UUID of version 8, whose bits the creator may choose. */
function uuidFrom(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  );
}
