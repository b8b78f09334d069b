import { z } from 'zod';
import { timeSchema } from '../http/schemas.ts';

const text = z.string();

export const auditRecordSchema = z
  .looseObject({
    seq: z.int().describe('The index of the record in the log of the team.'),
    id: text,
    time: z.int().describe('Milliseconds since the Unix epoch.'),
    stage: z.enum(['admitted', 'outcome', 'event']),
    action: text,
    actor: z.object({ kind: text, id: text }),
    target: z.object({ kind: text, id: text, team: text }),
    result: z.object({ status: text, code: z.int() }).optional(),
  })
  .meta({ id: 'AuditRecord', description: 'docs/audit.md describes all members.' });

export const auditLogSchema = z
  .object({
    origin: text.describe('Names the log.'),
    verifierKey: text.describe('The key that signs its checkpoints, as a verifier key of C2SP signed-note.'),
    size: z.int().describe('Records in the published log.'),
    minimum: z.int().describe('Records below this index were pruned.'),
    witnessedSize: z.int().describe('Records of the newest checkpoint that enough witnesses have signed; 0 for none.'),
    witnesses: z.array(
      z.object({
        name: text,
        size: z.int().describe('Records of the checkpoint that it has signed last, since the server started.'),
        signedAt: timeSchema.nullable(),
        problem: z.enum(['unreachable', 'refused']).nullable().describe('Why it has not signed the last time.'),
      }),
    ),
  })
  .meta({ id: 'AuditLog' });
