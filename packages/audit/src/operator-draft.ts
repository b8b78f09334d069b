import { createRecordId } from './record-id.ts';
import type { AuditDraft, AuditFacts } from './record.ts';
import { retainUntil } from './retention.ts';
import { sanitise } from './sanitise.ts';

export interface OperatorDeed {
  readonly action: string;
  readonly teamId: string;
  readonly target: { readonly kind: string; readonly id: string };
  readonly facts?: AuditFacts;
}

/** What a command of the host does. Kept for the longest time of all jurisdictions: the command does not know the server's. */
export function operatorDraft({ action, teamId, target, facts }: OperatorDeed, now: number): AuditDraft {
  return sanitise({
    ...{ id: createRecordId(now), time: now, stage: 'event', class: 'security', action, facts },
    ...{ actor: { kind: 'operator', id: 'host' }, scope: 'host', rule: 'root', target: { ...target, team: teamId } },
    ...{ result: { status: 'success', code: 0 }, jurisdiction: 'none' },
    retainUntil: retainUntil(now, 'security', { jurisdiction: 'us-hipaa', minDays: 0 }),
  });
}
