import { buildLogLevels } from '@soulbox/storage';
import type { BuildLog, BuildLogQuery } from '@soulbox/storage';
import { z } from 'zod';
import type { ApiContext } from '../context.ts';
import { timeSchema, timeToWire } from '../http/schemas.ts';

export const logEntrySchema = z
  .object({
    timestamp: timeSchema,
    message: z.string(),
    level: z.enum(buildLogLevels),
    step: z.string().optional().describe('`base`, `finalize` or the number of the step, counted from 1.'),
  })
  .meta({ id: 'BuildLogEntry' });

/** Query parameter for a part of a log. */
export const limit = z.coerce.number().int().min(0).max(100).default(100);
export const level = z.enum(buildLogLevels).optional().describe('The lowest level to return.');

export async function readLogs(
  context: ApiContext,
  buildId: string,
  query: Partial<BuildLogQuery> & { limit: number },
): Promise<z.infer<typeof logEntrySchema>[]> {
  const all = { level: undefined, order: 'asc', cursor: undefined, offset: 0 } as const;
  return (await context.records.builds.listLogs(buildId, { ...all, ...query })).map(logToWire);
}

export const stepToWire = (step: string): { step?: string } => (step === '' ? {} : { step });

function logToWire({ at, message, level: logLevel, step }: BuildLog): z.infer<typeof logEntrySchema> {
  return { timestamp: timeToWire(at), message, level: logLevel, ...stepToWire(step) };
}
