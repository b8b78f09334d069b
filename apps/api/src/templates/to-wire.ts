import { timestampMs } from '@bufbuild/protobuf/wkt';
import { envdVersion } from '@soulbox/contract';
import type { Template } from '@soulbox/contract/runner';
import type { BuildRecord, TeamRecord, TemplateRecord, TemplateTag } from '@soulbox/storage';
import type { z } from 'zod';
import type { ApiContext } from '../context.ts';
import { timeToWire } from '../http/schemas.ts';
import { fullNameOf } from './names.ts';
import { defaultTag } from '../names/reference.ts';
import type { templateSchema, templateWithBuildsSchema } from './schemas.ts';

type TemplateWire = z.infer<typeof templateSchema>;

/** Shown for a template whose builds have all been purged. */
const noBuildId = '00000000-0000-0000-0000-000000000000';

const commonToWire = (team: TeamRecord, template: TemplateRecord) => ({
  templateID: template.id,
  public: template.isPublic,
  aliases: [template.name],
  names: [fullNameOf(team, template.name)],
  createdAt: timeToWire(template.createdAt),
  updatedAt: timeToWire(template.updatedAt),
  lastSpawnedAt: template.lastSpawnedAt === undefined ? null : timeToWire(template.lastSpawnedAt),
  spawnCount: template.spawnCount,
});

/** `team` is the owner of the template. */
export async function builtToWire(
  context: ApiContext,
  team: TeamRecord,
  template: TemplateRecord,
): Promise<TemplateWire> {
  const { builds, templates } = context.records;
  const tags = await templates.listTags(template.id);
  const pointer = tags.find(({ tag }) => tag === defaultTag) ?? tags[0];
  const newest = async () => (await builds.list(template.id, undefined, 1)).builds[0];
  const build = pointer === undefined ? await newest() : await builds.find(pointer.buildId);
  return {
    ...commonToWire(team, template),
    buildID: build?.id ?? noBuildId,
    cpuCount: build?.cpuCount ?? 0,
    memoryMB: build?.memoryMb ?? 0,
    diskSizeMB: build?.diskSizeMb ?? 0,
    createdBy: null,
    buildCount: await builds.count(template.id),
    envdVersion: build?.envdVersion ?? '',
    buildStatus: build?.status ?? 'waiting',
    tags: tags.map(({ tag }) => tag),
  };
}

export function withBuildsToWire(
  team: TeamRecord,
  template: TemplateRecord,
  builds: readonly BuildRecord[],
  tags: readonly TemplateTag[],
): z.infer<typeof templateWithBuildsSchema> {
  return {
    ...commonToWire(team, template),
    builds: builds.map((build) => ({
      buildID: build.id,
      status: build.status,
      createdAt: timeToWire(build.createdAt),
      updatedAt: timeToWire(build.updatedAt),
      ...(build.finishedAt === undefined ? {} : { finishedAt: timeToWire(build.finishedAt) }),
      cpuCount: build.cpuCount,
      memoryMB: build.memoryMb,
      ...(build.status === 'ready' ? { diskSizeMB: build.diskSizeMb, envdVersion: build.envdVersion } : {}),
      tags: tags.filter(({ buildId }) => buildId === build.id).map(({ tag }) => tag),
    })),
  };
}

/** The creation time of a template of the store. */
export function storeTime({ createdAt }: Template): string {
  return timeToWire(createdAt === undefined ? 0 : timestampMs(createdAt));
}

/** A template of the store has one build of the same age. It belongs to no team, so its sandboxes are not counted. */
export function storeWithBuildsToWire(template: Template): z.infer<typeof templateWithBuildsSchema> {
  const { templateId, cpuCount, memoryMb, diskSizeMb } = template;
  const { templateID, names, aliases, createdAt, updatedAt, lastSpawnedAt, spawnCount } = storeToWire(template);
  const facts = { cpuCount, memoryMB: memoryMb, diskSizeMB: diskSizeMb, envdVersion, tags: [defaultTag] };
  return {
    ...{ templateID, public: true, names, aliases, createdAt, updatedAt, lastSpawnedAt, spawnCount },
    builds: [{ buildID: templateId, status: 'ready', createdAt, updatedAt, finishedAt: createdAt, ...facts }],
  };
}

/** The store has no counts, so the documented fields get neutral values. */
export function storeToWire(template: Template): TemplateWire {
  return {
    templateID: template.templateId,
    buildID: template.templateId,
    cpuCount: template.cpuCount,
    memoryMB: template.memoryMb,
    diskSizeMB: template.diskSizeMb,
    public: true,
    aliases: template.names,
    names: template.names,
    createdAt: storeTime(template),
    updatedAt: storeTime(template),
    createdBy: null,
    lastSpawnedAt: null,
    spawnCount: 0,
    buildCount: 1,
    envdVersion,
    buildStatus: 'ready',
    tags: [defaultTag],
  };
}
