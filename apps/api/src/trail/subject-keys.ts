import { createSubjectKey, openSubjectKey } from '@soulbox/audit';
import type { SubjectKey, SubjectKeySealer } from '@soulbox/audit';
import type { Clock } from '@soulbox/base';
import type { AuditRecords } from '@soulbox/storage';

/** Finds the data key under which the personal fields of a subject are sealed. */
export interface SubjectKeys {
  /**
   * The subject's key; a new one if it has none, or if it was erased. Throws when the keyring cannot open or seal it,
   * for example while its hardware module is away. A key that is in memory does not need the keyring.
   */
  get(teamId: string, subject: string): Promise<SubjectKey>;
}

/** An erasure by another process takes effect within this time. Milliseconds. */
const checkedMs = 1000;
/** Keys in memory. The one that was used least recently goes first. */
const keptMax = 1000;

export function createSubjectKeys(audit: AuditRecords, sealer: SubjectKeySealer, clock: Clock): SubjectKeys {
  // In the order of their last use.
  const kept = new Map<string, { readonly key: Promise<SubjectKey>; readonly checkAt: number }>();
  const find = async (teamId: string, subject: string, known: SubjectKey | undefined): Promise<SubjectKey> => {
    const stored = await audit.findSubjectKey(teamId, subject);
    if (stored !== undefined) return stored.id === known?.id ? known : await openSubjectKey(sealer, teamId, stored);
    const made = await createSubjectKey(sealer, teamId);
    const winner = await audit.addSubjectKey(teamId, subject, made.stored);
    return winner.id === made.key.id ? made.key : await openSubjectKey(sealer, teamId, winner);
  };
  const keep = (name: string, key: Promise<SubjectKey>, checkAt: number): void => {
    kept.delete(name);
    const [oldest] = kept.keys();
    if (kept.size >= keptMax && oldest !== undefined) kept.delete(oldest);
    kept.set(name, { key, checkAt });
  };
  return {
    async get(teamId, subject) {
      const name = `${teamId}/${subject}`;
      const now = clock.now();
      const known = kept.get(name);
      if (known !== undefined && known.checkAt > now) return await known.key;
      const before = await known?.key;
      // Others may have asked again during the wait.
      const current = kept.get(name);
      if (current !== undefined && current !== known) return await current.key;
      const key = find(teamId, subject, before);
      keep(name, key, now + checkedMs);
      try {
        return await key;
      } catch (error) {
        if (kept.get(name)?.key === key) kept.delete(name);
        throw error;
      }
    },
  };
}
