import { z } from 'zod';
import { timeSchema } from '../http/schemas.ts';
import { tagsMax } from '../limits.ts';

export const buildStatusSchema = z.enum(['building', 'waiting', 'ready', 'error']);

const common = {
  templateID: z.string(),
  public: z.boolean().describe('Whether other teams may make sandboxes from it.'),
  aliases: z.array(z.string()),
  names: z.array(z.string()).describe('`<team>/<name>`; of a template of the server its plain names.'),
  createdAt: timeSchema,
  updatedAt: timeSchema,
  lastSpawnedAt: timeSchema.nullable(),
  spawnCount: z.int(),
};

export const templateSchema = z
  .object({
    ...common,
    buildID: z.string().describe('Of the build that its tag `default` points at, else of its newest.'),
    cpuCount: z.int(),
    memoryMB: z.int().describe('MiB'),
    diskSizeMB: z.int().describe('MiB'),
    createdBy: z.null(),
    buildCount: z.int(),
    envdVersion: z.string(),
    buildStatus: buildStatusSchema.describe('Of that build.'),
    tags: z.array(z.string()).describe("SoulBox's own."),
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
    tags: z.array(z.string()).describe("Those that point at it. SoulBox's own."),
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
