import type { AuditActor, AuditClass, AuditFacts } from '@soulbox/audit';

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
  /** Whose source it is: an erasure of this id makes it unreadable. Default: the actor's. */
  readonly subject?: string;
  readonly facts?: AuditFacts;
}
