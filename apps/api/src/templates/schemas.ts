import { z } from 'zod';
import { timeSchema } from '../http/schemas.ts';
import { tagsMax } from '../limits.ts';

export const buildStatusSchema = z.enum(['building', 'waiting', 'ready', 'error']);

const common = {
  templateID: z.string(),
  public: z.boolean().describe('Whether other teams can create sandboxes from it.'),
  aliases: z.array(z.string()),
  names: z.array(z.string()).describe('`<team>/<name>`. Templates of the server have plain names.'),
  createdAt: timeSchema,
  updatedAt: timeSchema,
  lastSpawnedAt: timeSchema.nullable(),
  spawnCount: z.int(),
};

export const templateSchema = z
  .object({
    ...common,
    buildID: z.string().describe('Id of the build that the tag `default` points at, or else of the newest build.'),
    cpuCount: z.int(),
    memoryMB: z.int().describe('MiB'),
    diskSizeMB: z.int().describe('MiB'),
    createdBy: z.null(),
    buildCount: z.int(),
    envdVersion: z.string(),
    buildStatus: buildStatusSchema.describe('Status of that build.'),
    tags: z.array(z.string()).describe('Tags of the template. SoulBox extension.'),
  })
  .meta({ id: 'Template' });

const templateBuildSchema = z
  .object({
    buildID: z.string(),
    status: buildStatusSchema,
    createdAt: timeSchema,
    updatedAt: timeSchema,
    finishedAt: timeSchema.optional(),
    cpuCount: z.int(),
    memoryMB: z.int().describe('MiB'),
    diskSizeMB: z.int().optional().describe('MiB'),
    envdVersion: z.string().optional(),
    tags: z.array(z.string()).describe('Tags that point at this build. SoulBox extension.'),
  })
  .meta({ id: 'TemplateBuild' });

export const templateWithBuildsSchema = z
  .object({ ...common, builds: z.array(templateBuildSchema) })
  .meta({ id: 'TemplateWithBuilds' });

export const templateAliasSchema = z
  .object({ templateID: z.string(), public: z.boolean() })
  .meta({ id: 'TemplateAliasResponse' });

export const templateTagSchema = z
  .object({ tag: z.string(), buildID: z.string(), createdAt: timeSchema })
  .meta({ id: 'TemplateTag' });

export const tagNamesSchema = z.array(z.string().max(128)).min(1).max(tagsMax);
