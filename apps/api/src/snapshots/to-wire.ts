import type { SnapshotRecord, TeamRecord } from '@soulbox/storage';
import { z } from 'zod';
import { timeSchema, timeToWire } from '../http/schemas.ts';
import { namespaceOf } from '../names/reference.ts';

export const snapshotSchema = z
  .object({
    snapshotID: z.string().describe('`<team>/<name>:<tag>`, or `<id>:default` without a name. Usable as `templateID`.'),
    names: z.array(z.string()).describe('Full names; empty for one without a name.'),
    sandboxID: z.string().describe("What it was made of. SoulBox's own."),
    createdAt: timeSchema.describe("SoulBox's own."),
    isolation: z.string().describe("Sandboxes made from it are walled off the same way. SoulBox's own."),
    sizeBytes: z.int().describe("On the host's disk, layers that others share included. SoulBox's own."),
  })
  .meta({ id: 'SnapshotInfo' });

export function snapshotToWire(snapshot: SnapshotRecord, team: TeamRecord): z.infer<typeof snapshotSchema> {
  const { id, name, tag, sandboxId, createdAt, isolation, sizeBytes } = snapshot;
  const fullName = `${namespaceOf(team)}/${name}:${tag}`;
  return {
    snapshotID: name === '' ? `${id}:${tag}` : fullName,
    names: name === '' ? [] : [fullName],
    sandboxID: sandboxId,
    createdAt: timeToWire(createdAt),
    isolation,
    sizeBytes,
  };
}
