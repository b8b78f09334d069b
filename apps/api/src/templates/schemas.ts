import { z } from 'zod';
import { timeSchema } from '../http/schemas.ts';

export const templateSchema = z
  .object({
    templateID: z.string(),
    buildID: z.string(),
    cpuCount: z.int(),
    memoryMB: z.int().describe('MiB'),
    diskSizeMB: z.int().describe('MiB'),
    public: z.boolean(),
    aliases: z.array(z.string()),
    names: z.array(z.string()),
    createdAt: timeSchema,
    updatedAt: timeSchema,
    createdBy: z.null(),
    lastSpawnedAt: timeSchema.nullable(),
    spawnCount: z.int(),
    buildCount: z.int(),
    envdVersion: z.string(),
    buildStatus: z.enum(['building', 'waiting', 'ready', 'error']),
  })
  .meta({ id: 'Template' });

export const templateAliasSchema = z
  .object({ templateID: z.string(), public: z.boolean() })
  .meta({ id: 'TemplateAliasResponse' });
