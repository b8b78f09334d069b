import type { AuditRecord } from '../record.ts';

/** What an action does to its target, in the words that all formats have. */
export type Activity = 'create' | 'read' | 'update' | 'delete' | 'other';

const activities: Readonly<Record<string, Activity>> = {
  ...{ create: 'create', fork: 'create', deploy: 'create', upload: 'create', build: 'create', snapshot: 'create' },
  ...{ start: 'create', add: 'create', issue: 'create' },
  ...{ read: 'read', list: 'read', export: 'read', use: 'read' },
  ...{ update: 'update', rename: 'update', pause: 'update', resume: 'update', connect: 'update', tag: 'update' },
  ...{ timeout: 'update', refresh: 'update', rollback: 'update', 'set-secrets': 'update', publish: 'update' },
  ...{ change: 'update', network: 'update', 'set-budgets': 'update', 'set-limits': 'update' },
  ...{ delete: 'delete', kill: 'delete', revoke: 'delete', untag: 'delete', erase: 'delete', prune: 'delete' },
  ...{ remove: 'delete', 'remove-secret': 'delete' },
};

/** By the last word of the action. */
export function activityOf({ action }: AuditRecord): Activity {
  return activities[action.slice(action.lastIndexOf('.') + 1)] ?? 'other';
}

export type Severity = 'informational' | 'low' | 'medium' | 'high';

/** What a person should look at: refused changes, and changes of who may do what and of the log itself. */
export function severityOf(record: AuditRecord): Severity {
  if (/^(?:privacy|audit)\.(?:erase|prune|rolled-back)$/.test(record.action)) return 'high';
  if (record.class === 'security' && record.stage !== 'admitted') return 'medium';
  return record.result?.status === 'failure' ? 'low' : 'informational';
}

/** True for records that tell how an action ended. */
export function hasSucceeded({ stage, result }: AuditRecord): boolean | undefined {
  return stage === 'admitted' || result === undefined ? undefined : result.status === 'success';
}

const identityKinds = new Set(['key', 'member', 'signing-key', 'subject', 'team', 'token', 'user']);

/** True for records about who somebody is and what that one may do. */
export function isAboutIdentity({ target }: AuditRecord): boolean {
  return identityKinds.has(target.kind);
}

/** True for a record of a process in a sandbox that is known. */
export function isAboutProcess({ action, target }: AuditRecord): boolean {
  return action === 'sandbox.run' && target.id !== '';
}
