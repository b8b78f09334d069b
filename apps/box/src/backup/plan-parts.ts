import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { run } from '@soulbox/base';
import { readSealedJson } from '@soulbox/checkpoints';
import { recordsFileName } from '@soulbox/storage/records-file';
import { isListed, openTemplateStore } from '@soulbox/templates';
import { controlDirectoryIn, runnerExportKeyName, runnerKeysName } from '../data-folder.ts';
import type { Backup, BackupPart } from './manifest.ts';
import type { PartSource } from './part-file.ts';
import { listStagedGroups } from './volume-stage.ts';

/** A part that will be written. */
export interface PlannedPart extends Pick<BackupPart, 'name' | 'into' | 'file' | 'contentBytes'> {
  readonly source: PartSource;
}

export interface Folders {
  readonly dataDirectory: string;
  readonly templatesDirectory: string;
  /** The folder in which the server has collected its state, in the form of a data folder. */
  readonly stage: string;
  /** The folder in which the volume service has collected volumes. */
  readonly volumeStage: string;
}

const recordSchema = z.object({ templateId: z.string(), runtimeName: z.string() });
const factsSchema = z.object({
  facts: z.object({ driver: z.string(), driverVersion: z.string(), hasMemory: z.boolean() }),
});

/** Links to immutable files: the server may remove their other names meanwhile. */
const linked = { isStable: true };

/** Everything of a server that cannot be recreated. Caches, logs and files that were set aside are left out. */
export async function planParts({
  dataDirectory,
  templatesDirectory,
  stage,
  volumeStage,
}: Folders): Promise<PlannedPart[]> {
  const records = await readRecords(stage);
  const templateIds = await findTemplates(templatesDirectory, new Set(records.map(({ templateId }) => templateId)));
  const runtimes = [...new Set(records.map(({ runtimeName }) => join('runtime', runtimeName)))];
  const plans = [
    plan('records', stage, [recordsFileName, 'sandboxes', 'snapshots']),
    plan('secrets', controlDirectoryIn(dataDirectory), ['secrets']),
    plan('runner-keys', dataDirectory, [runnerKeysName, runnerExportKeyName]),
    plan('tls', dataDirectory, ['tls']),
    ...['functions', 'uploads', 'archive'].map((name) => plan(name, stage, [name])),
    ...(await list(stage, 'states')).map((id) => plan(`states/${id}`, stage, [`states/${id}`], linked)),
    ...(await list(stage, 'layers'))
      .filter((name) => name.endsWith('.img'))
      .map((name) => name.slice(0, -'.img'.length))
      .map((id) => plan(`layers/${id}`, stage, [`layers/${id}.img`, `layers/${id}.json`], linked)),
    // Volumes that share blocks are one part.
    ...(await listStagedGroups(volumeStage)).map(({ groupId, name }) =>
      plan(`volumes/${groupId}`, volumeStage, [name], linked),
    ),
    ...runtimes.map((name) => plan(name, dataDirectory, [name])),
    ...templateIds.map((id) => plan(`templates/${id}`, templatesDirectory, [id], { into: 'templates' })),
  ];
  const planned = await Promise.all(plans);
  return planned.filter((part) => part !== undefined);
}

/** Undefined for a part without any files. */
async function plan(
  name: string,
  directory: string,
  names: readonly string[],
  { into = '.', isStable = false }: Partial<Pick<BackupPart, 'into'> & Pick<PartSource, 'isStable'>> = {},
): Promise<PlannedPart | undefined> {
  const present: string[] = [];
  for (const entry of names) {
    const folder = join(directory, entry, '..');
    if ((await list(folder)).includes(entry.split('/').at(-1) ?? '')) present.push(entry);
  }
  if (present.length === 0) return undefined;
  const file = `${name.replaceAll('/', '-')}.tar.zst`;
  return {
    name,
    into,
    file,
    contentBytes: await measure(directory, present),
    source: { directory, names: present, isStable },
  };
}

/** Disk usage without holes. */
async function measure(directory: string, names: readonly string[]): Promise<number> {
  const options = ['--summarize', '--total', '--block-size=1', '--one-file-system'];
  const output = await run('du', [...options, '--', ...names.map((name) => join(directory, name))], {
    timeoutMs: 600_000,
  });
  return Number(/^(\d+)\ttotal$/m.exec(output)?.[1]);
}

async function readRecords(stage: string): Promise<z.infer<typeof recordSchema>[]> {
  const paths = await Promise.all(
    ['sandboxes', 'snapshots'].map(async (folder) =>
      (await list(stage, folder)).map((name) => join(stage, folder, name)),
    ),
  );
  return await Promise.all(
    paths.flat().map(async (path) => recordSchema.parse(JSON.parse(await readFile(path, 'utf8')))),
  );
}

/** Roots of images are a cache and are left out, unless a sandbox or snapshot uses them. */
async function findTemplates(templatesDirectory: string, needed: ReadonlySet<string>): Promise<string[]> {
  const templates = await openTemplateStore(templatesDirectory).list();
  return templates
    .filter((template) => isListed(template) || needed.has(template.templateId))
    .map(({ templateId }) => templateId);
}

/** The drivers and versions that saved the memories in the stage. */
export async function findSavers(stage: string): Promise<Backup['savers']> {
  const counts = new Map<string, Backup['savers'][number]>();
  for (const stateId of await list(stage, 'states')) {
    const { facts } = factsSchema.parse(await readSealedJson(join(stage, 'states', stateId, 'manifest.json')));
    if (!facts.hasMemory) continue;
    const { driver, driverVersion: version } = facts;
    const before = counts.get(`${driver} ${version}`)?.count ?? 0;
    counts.set(`${driver} ${version}`, { driver, version, count: before + 1 });
  }
  return [...counts.values()];
}

export async function list(...parts: readonly string[]): Promise<string[]> {
  return (await readdir(join(...parts)).catch(() => [] as string[])).sort();
}
