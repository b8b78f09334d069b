import { createRecordId, leafOf, retainUntil, sanitise, sealFields, splitSource } from '@soulbox/audit';
import type { AuditDraft, AuditResult, AuditStage } from '@soulbox/audit';
import type { PersonalFields, RetentionPolicy, SubjectKeySealer } from '@soulbox/audit';
import { isDiskFull, SoulBoxError } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import { auditLogFull } from '@soulbox/storage';
import type { AuditNote, Records } from '@soulbox/storage';
import type { Deed } from './deed.ts';
import { createSubjectKeys } from './subject-keys.ts';
import { createUses } from './uses.ts';
import type { Use } from './uses.ts';

/** Records what is done, in the log of the team. */
export interface Trail {
  /**
   * Records that something is about to happen. On the disk when it returns. Throws `audit_log_full` and
   * `audit_unavailable`: then it must not happen. `frees`: it gives space back, so its record may use the reserve of a
   * full disk.
   */
  admit(deed: Deed, options?: { readonly frees: boolean }): Promise<void>;
  /** The same for what must always be possible: never throws, and may use more room. */
  admitAlways(deed: Deed): Promise<void>;
  /**
   * A record to be committed together with a change of the records. The result takes the id of the target, if only the
   * change determines it. Throws `audit_unavailable`.
   */
  note(deed: Deed, result: AuditResult): Promise<(targetId?: string) => AuditNote>;
  /** Records what has happened. Never throws: it cannot be undone any more. */
  tell(deed: Deed, stage: AuditStage, result?: AuditResult): Promise<void>;
  /**
   * Records that something was used, for uses that come in great number: of a signed URL, a secret, a sandbox. The first
   * one is recorded at once, further ones by a count for each minute (uses.ts). Never throws and never waits.
   */
  recordUse(use: Use, times?: number): void;
  /** Records the counts of uses whose minute is over; `all` when the server stops. */
  flushUses(all?: boolean): Promise<void>;
  /** Throws `audit_log_full` if there is no room for further actions, `audit_unavailable` if witnesses are missing. */
  checkRoom(teamId: string): Promise<void>;
}

export interface TrailOptions {
  readonly records: Records;
  /** Encrypts the keys of personal fields. */
  readonly sealer: SubjectKeySealer;
  /** Whether the log of a team has waited too long for its witnesses; then actions are refused. */
  readonly isOverdue: (teamId: string) => boolean;
  readonly policy: RetentionPolicy;
  /** Bytes of the records of a team. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What must not happen without its personal fields is refused; what has happened is recorded without them. */
type Needs = 'personal fields' | 'nothing';

/** For kills and pauses when the log is full. */
const reservedBytes = 16 * 1024 * 1024;

export function createTrail({ records, sealer, isOverdue, policy, maxBytes, clock, logger }: TrailOptions): Trail {
  const { audit } = records;
  const subjects = createSubjectKeys(audit, sealer, clock);

  const draftOf = async (
    deed: Deed,
    stage: AuditStage,
    result: AuditResult | undefined,
    needs: Needs,
  ): Promise<AuditDraft> => {
    const { source, target, teamId } = deed;
    const time = clock.now();
    const id = createRecordId(time);
    const split = source && splitSource(source.address, source.userAgent);
    const personal = split && (await sealed(deed, split.personal, { id, needs }));
    return sanitise({
      id,
      time,
      stage,
      class: deed.class,
      action: deed.action,
      actor: deed.actor,
      scope: deed.scope,
      target: { kind: target.kind, id: target.id, team: teamId },
      request: deed.request,
      source: split?.clear,
      result,
      rule: deed.rule,
      jurisdiction: policy.jurisdiction,
      retainUntil: retainUntil(time, deed.class, policy),
      facts: personal === undefined ? deed.facts : personal.facts,
      piiKeyId: personal?.piiKeyId,
      sealed: personal?.sealed,
    });
  };
  const sealed = async (
    { teamId, actor, facts, subject = actor.id }: Deed,
    personal: PersonalFields,
    { id, needs }: { readonly id: string; readonly needs: Needs },
  ): Promise<Pick<AuditDraft, 'piiKeyId' | 'sealed' | 'facts'>> => {
    try {
      const key = await subjects.get(teamId, subject);
      return { piiKeyId: key.id, sealed: sealFields(personal, key, id), facts };
    } catch (err) {
      if (needs === 'personal fields') throw err;
      logger.error({ err, team: teamId }, 'an audit record is without its personal fields');
      return { facts: { ...facts, personal: 'unavailable' } };
    }
  };
  const noteAt = async (
    deed: Deed,
    stage: AuditStage,
    result: AuditResult | undefined,
    needs: Needs,
  ): Promise<AuditNote> => {
    const draft = await draftOf(deed, stage, result, needs);
    return { teamId: deed.teamId, compose: (place) => leafOf(draft, place) };
  };
  const never = async (what: string, deed: Deed, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (err) {
      logger.error({ err, team: deed.teamId, action: deed.action }, what);
    }
  };

  /** The error for what must not happen because it cannot be recorded. */
  const unrecorded = (cause: unknown): SoulBoxError => {
    if (cause instanceof SoulBoxError && cause.reason === 'audit_log_full') return cause;
    const why = isDiskFull(cause) ? 'The disk of the server is full' : 'The audit log cannot be written';
    return new SoulBoxError(
      'audit_unavailable',
      `${why}, and nothing was changed. Kills, pauses and reading still work.`,
      { cause },
    );
  };

  const refuseOverdue = (teamId: string): void => {
    if (!isOverdue(teamId)) return;
    throw new SoulBoxError(
      'audit_unavailable',
      'The witnesses of the audit log have not signed it for too long, and nothing was changed. Kills, pauses and reading still work.',
    );
  };
  const tell: Trail['tell'] = async (deed, stage, result) =>
    await never('an audit record is missing', deed, async () => {
      await audit.appendUrgent(await noteAt(deed, stage, result, 'nothing'), maxBytes + 2 * reservedBytes);
    });
  const uses = createUses(tell, clock);

  return {
    async note(deed, result) {
      const draft = await draftOf(deed, 'event', result, 'personal fields').catch((error: unknown) => {
        throw unrecorded(error);
      });
      return (id = deed.target.id) => ({
        teamId: deed.teamId,
        compose: (place) => leafOf(sanitise({ ...draft, target: { ...draft.target, id } }), place),
      });
    },
    async admit(deed, { frees } = { frees: false }) {
      refuseOverdue(deed.teamId);
      try {
        const note = await noteAt(deed, 'admitted', undefined, 'personal fields');
        await (frees ? audit.appendUrgent(note, maxBytes) : audit.append(note, maxBytes));
      } catch (error) {
        throw unrecorded(error);
      }
    },
    admitAlways: async (deed) =>
      await never('an action without its audit record', deed, async () => {
        const note = await noteAt(deed, 'admitted', undefined, 'nothing');
        await audit.appendUrgent(note, maxBytes + reservedBytes);
      }),
    tell,
    recordUse: (use, times) => {
      uses.note(use, times);
    },
    flushUses: async (all) => await uses.flush(all),
    async checkRoom(teamId) {
      refuseOverdue(teamId);
      if (((await audit.findHead(teamId))?.bytes ?? 0) < maxBytes) return;
      throw auditLogFull();
    },
  };
}
