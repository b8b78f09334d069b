import { createRecordId, leafOf, retainUntil, sanitise, sealFields, splitSource } from '@soulbox/audit';
import type { AuditActor, AuditClass, AuditDraft, AuditFacts, AuditResult, AuditStage } from '@soulbox/audit';
import type { KeyWrap, RetentionPolicy } from '@soulbox/audit';
import { isDiskFull, SoulBoxError } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import { auditLogFull } from '@soulbox/storage';
import type { AuditNote, Records } from '@soulbox/storage';
import { createSubjectKeys } from './subject-keys.ts';

/** Something that is recorded. */
export interface Deed {
  readonly teamId: string;
  readonly action: string;
  readonly class: AuditClass;
  readonly actor: AuditActor;
  readonly scope: string;
  readonly rule: string;
  readonly target: { readonly kind: string; readonly id: string };
  readonly request?: { readonly id: string; readonly method: string; readonly route: string };
  /** The whole address and user agent. They are sealed; the record has a part that identifies nobody. */
  readonly source?: { readonly address: string; readonly userAgent: string };
  readonly facts?: AuditFacts;
}

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
   * change determines it.
   */
  note(deed: Deed, result: AuditResult): Promise<(targetId?: string) => AuditNote>;
  /** Records what has happened. Never throws: it cannot be undone any more. */
  tell(deed: Deed, stage: AuditStage, result?: AuditResult): Promise<void>;
  /** Throws `audit_log_full` if there is no room for further actions. */
  checkRoom(teamId: string): Promise<void>;
}

export interface TrailOptions {
  readonly records: Records;
  readonly keyWrap: KeyWrap;
  readonly policy: RetentionPolicy;
  /** Bytes of the records of a team. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** For kills and pauses when the log is full. */
const reservedBytes = 16 * 1024 * 1024;

export function createTrail({ records, keyWrap, policy, maxBytes, clock, logger }: TrailOptions): Trail {
  const { audit } = records;
  const subjects = createSubjectKeys(audit, keyWrap, clock);

  const draftOf = async (deed: Deed, stage: AuditStage, result: AuditResult | undefined): Promise<AuditDraft> => {
    const { source, target, teamId, ...rest } = deed;
    const time = clock.now();
    const id = createRecordId(time);
    const split = source && splitSource(source.address, source.userAgent);
    return sanitise({
      ...rest,
      ...{ id, time, stage, result, source: split?.clear, target: { ...target, team: teamId } },
      ...{ jurisdiction: policy.jurisdiction, retainUntil: retainUntil(time, deed.class, policy) },
      ...(split === undefined ? {} : await sealed(deed, split.personal, id)),
    });
  };
  const sealed = async ({ teamId, actor }: Deed, personal: Parameters<typeof sealFields>[0], id: string) => {
    const key = await subjects.get(teamId, actor.id);
    return { piiKeyId: key.id, sealed: sealFields(personal, key, id) };
  };
  const noteAt = async (deed: Deed, stage: AuditStage, result: AuditResult | undefined): Promise<AuditNote> => {
    const draft = await draftOf(deed, stage, result);
    return { teamId: deed.teamId, compose: (place) => leafOf(draft, place) };
  };
  const never = async (what: string, deed: Deed, work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (err) {
      logger.error({ err, team: deed.teamId, action: deed.action }, what);
    }
  };

  return {
    async note(deed, result) {
      const draft = await draftOf(deed, 'event', result);
      return (id = deed.target.id) => ({
        teamId: deed.teamId,
        compose: (place) => leafOf(sanitise({ ...draft, target: { ...draft.target, id } }), place),
      });
    },
    async admit(deed, { frees } = { frees: false }) {
      try {
        const note = await noteAt(deed, 'admitted', undefined);
        await (frees ? audit.appendUrgent(note, maxBytes) : audit.append(note, maxBytes));
      } catch (cause) {
        if (cause instanceof SoulBoxError && cause.reason === 'audit_log_full') throw cause;
        const why = isDiskFull(cause) ? 'The disk of the server is full' : 'The audit log cannot be written';
        throw new SoulBoxError(
          'audit_unavailable',
          `${why}, and nothing was changed. Kills, pauses and reading still work.`,
          { cause },
        );
      }
    },
    admitAlways: async (deed) =>
      await never('an action without its audit record', deed, async () => {
        await audit.appendUrgent(await noteAt(deed, 'admitted', undefined), maxBytes + reservedBytes);
      }),
    tell: async (deed, stage, result) =>
      await never('an audit record is missing', deed, async () => {
        await audit.appendUrgent(await noteAt(deed, stage, result), maxBytes + 2 * reservedBytes);
      }),
    async checkRoom(teamId) {
      if (((await audit.findHead(teamId))?.bytes ?? 0) < maxBytes) return;
      throw auditLogFull();
    },
  };
}
