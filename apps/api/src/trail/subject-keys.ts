import { createSubjectKey, openSubjectKey } from '@soulbox/audit';
import type { KeyWrap, SubjectKey } from '@soulbox/audit';
import type { Clock } from '@soulbox/base';
import type { AuditRecords } from '@soulbox/storage';

/** Finds the data key under which the personal fields of a subject are sealed. */
export interface SubjectKeys {
  /** The subject's key; a new one if it has none, or if it was erased. */
  get(teamId: string, subject: string): Promise<SubjectKey>;
}

/** An erasure by another process takes effect within this time. Milliseconds. */
const keptMs = 1000;
/** Keys in memory. */
const keptMax = 1000;

export function createSubjectKeys(audit: AuditRecords, wrap: KeyWrap, clock: Clock): SubjectKeys {
  const kept = new Map<string, { readonly key: Promise<SubjectKey>; readonly until: number }>();
  const find = async (teamId: string, subject: string): Promise<SubjectKey> => {
    const stored = await audit.findSubjectKey(teamId, subject);
    if (stored !== undefined) return await openSubjectKey(wrap, stored);
    const made = await createSubjectKey(wrap);
    const winner = await audit.addSubjectKey(teamId, subject, made.stored);
    return winner.id === made.key.id ? made.key : await openSubjectKey(wrap, winner);
  };
  return {
    async get(teamId, subject) {
      const name = `${teamId}/${subject}`;
      const now = clock.now();
      const known = kept.get(name);
      if (known !== undefined && known.until > now) return await known.key;
      if (kept.size >= keptMax) kept.clear();
      const key = find(teamId, subject);
      kept.set(name, { key, until: now + keptMs });
      try {
        return await key;
      } catch (error) {
        kept.delete(name);
        throw error;
      }
    },
  };
}
