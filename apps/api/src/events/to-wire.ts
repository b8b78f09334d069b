import { lifecycleEventTypes } from '@soulbox/storage';
import type { Execution, LifecycleEvent } from '@soulbox/storage';
import { z } from 'zod';
import { timeSchema, timeToWire } from '../http/schemas.ts';
import { causeSchema } from '../sandboxes/schemas.ts';

export const eventTypeSchema = z.enum(lifecycleEventTypes);

const executionSchema = z.object({
  started_at: timeSchema,
  vcpu_count: z.int(),
  memory_mb: z.int().describe('MiB'),
  execution_time: z.int().describe('Milliseconds'),
});

/** E2B's event, version 2, plus our fields: `sequence`, `eventData.cause`, `eventData.snapshotId`. */
export const eventSchema = z
  .object({
    version: z.literal('v2'),
    sequence: z
      .int()
      .describe('Increases with each event. Pass it as `after` to read what follows. SoulBox extension.'),
    id: z.uuid(),
    type: eventTypeSchema,
    eventData: z.object({
      cause: causeSchema.describe('Cause of the event. SoulBox extension.'),
      sandbox_metadata: z.record(z.string(), z.string()),
      execution: executionSchema.optional().describe('Present for a pause, and for the end of a running sandbox.'),
      snapshotId: z
        .string()
        .optional()
        .describe('Id of the snapshot, if the checkpoint became one. SoulBox extension.'),
    }),
    sandboxBuildId: z.string().describe('The same as `sandboxTemplateId`: events do not record the build.'),
    sandboxExecutionId: z.string().describe('Identifies the time from a start or resume to the next pause or end.'),
    sandboxId: z.string(),
    sandboxTeamId: z.string(),
    sandboxTemplateId: z.string(),
    timestamp: timeSchema,
  })
  .meta({ id: 'SandboxEvent' });

export function eventToWire(event: LifecycleEvent): z.infer<typeof eventSchema> {
  return {
    version: 'v2',
    sequence: event.sequence,
    id: event.id,
    type: event.type,
    eventData: {
      cause: event.cause,
      sandbox_metadata: { ...event.metadata },
      ...(event.execution === undefined ? {} : { execution: executionToWire(event.execution) }),
      ...(event.snapshotId === undefined ? {} : { snapshotId: event.snapshotId }),
    },
    sandboxBuildId: event.templateId,
    sandboxExecutionId: event.executionId,
    sandboxId: event.sandboxId,
    sandboxTeamId: event.teamId,
    sandboxTemplateId: event.templateId,
    timestamp: timeToWire(event.at),
  };
}

function executionToWire({ startedAt, endedAt, cpuCount, memoryMb }: Execution): z.infer<typeof executionSchema> {
  return {
    started_at: timeToWire(startedAt),
    vcpu_count: cpuCount,
    memory_mb: memoryMb,
    execution_time: endedAt - startedAt,
  };
}
