import { leafOf, operatorDraft } from '@soulbox/audit';
import type { OperatorDeed } from '@soulbox/audit';
import type { AuditNote } from '@soulbox/storage';

/** The audit record of a command that changes the records directly, to be committed together with the change. */
export function operatorNote(deed: OperatorDeed): AuditNote {
  const draft = operatorDraft(deed, Date.now());
  return { teamId: deed.teamId, compose: (place) => leafOf(draft, place) };
}
