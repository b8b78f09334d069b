import type { SnapshotRecord, TeamRecord } from '@soulbox/storage';
import { z } from 'zod';
import { timeSchema, timeToWire } from '../http/schemas.ts';
import { namespaceOf } from '../names/reference.ts';

export const snapshotSchema = z
  .object({
    snapshotID: z
      .string()
      .describe('`<team>/<name>:<tag>`, or `<id>:default` without a name. Can be used as `templateID`.'),
    names: z.array(z.string()).describe('Full names. Empty for a snapshot without a name.'),
    sandboxID: z.string().describe('Sandbox that the snapshot was made from. SoulBox extension.'),
    createdAt: timeSchema.describe('SoulBox extension.'),
    isolation: z
      .string()
      .describe('Isolation of the snapshot; sandboxes created from it use the same. SoulBox extension.'),
    sizeBytes: z.int().describe("Bytes on the host's disk, including layers shared with others. SoulBox extension."),
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
