import type { AuditRecord } from '../record.ts';
import { activityOf, hasSucceeded, isAboutIdentity, isAboutProcess, severityOf } from './activity.ts';
import type { Activity, Severity } from './activity.ts';

const types: Readonly<Record<Activity, string>> = {
  create: 'creation',
  read: 'access',
  update: 'change',
  delete: 'deletion',
  other: 'info',
};
/** ECS leaves the numbers to the source. */
const severities: Readonly<Record<Severity, number>> = { informational: 1, low: 3, medium: 5, high: 7 };

/** Elastic Common Schema 9, one object for each line of JSON. */
export function toEcs(record: AuditRecord, version: string): object {
  const { actor, target, request, source, result } = record;
  const succeeded = hasSucceeded(record);
  return {
    '@timestamp': new Date(record.time).toISOString(),
    ecs: { version: '9.0.0' },
    event: {
      action: record.action,
      category: [categoryOf(record)],
      dataset: 'soulbox.audit',
      id: record.id,
      kind: 'event',
      outcome: succeeded === undefined ? 'unknown' : succeeded ? 'success' : 'failure',
      sequence: record.seq,
      severity: severities[severityOf(record)],
      type: [typeOf(record)],
    },
    ...(request && {
      http: {
        request: { id: request.id, method: request.method },
        ...(result && { response: { status_code: result.code } }),
      },
      url: { path: request.route },
    }),
    observer: { product: 'SoulBox', vendor: 'SoulBox', version },
    organization: { id: target.team },
    soulbox: { audit: record },
    ...(source?.network !== undefined && { source: { address: source.network } }),
    user: { id: actor.id, roles: [actor.kind] },
    ...(source?.agent !== undefined && { user_agent: { name: source.agent } }),
  };
}

function categoryOf(record: AuditRecord): 'process' | 'iam' | 'configuration' {
  if (isAboutProcess(record)) return 'process';
  return isAboutIdentity(record) ? 'iam' : 'configuration';
}

/** ECS lists which types belong to a category: a process has a start, and `iam` has no access. */
function typeOf(record: AuditRecord): string {
  const category = categoryOf(record);
  if (category === 'process') return 'start';
  const type = types[activityOf(record)];
  return category === 'iam' && type === 'access' ? 'info' : type;
}
