import type { AuditRecord } from '../record.ts';
import { activityOf, hasSucceeded, severityOf } from './activity.ts';
import type { Activity, Severity } from './activity.ts';

/** Activities have the same numbers in the classes below; 99 is "other" in all of OCSF. */
const activityIds: Readonly<Record<Activity, number>> = { create: 1, read: 2, update: 3, delete: 4, other: 99 };
const severityIds: Readonly<Record<Severity, number>> = { informational: 1, low: 2, medium: 3, high: 4 };
/** Classes of OCSF 1.5: Process Activity, Entity Management, API Activity. */
const classes = { process: 1007, entity: 3004, api: 6003 } as const;
const launch = 1;
const virtualDevice = 6;

/** OCSF 1.5, one object for each line of JSON. */
export function toOcsf(record: AuditRecord, version: string): object {
  const { actor, target, request, source, result } = record;
  const classUid = classOf(record);
  const activityId = classUid === classes.process ? launch : activityIds[activityOf(record)];
  const succeeded = hasSucceeded(record);
  return {
    activity_id: activityId,
    actor: { user: { uid: actor.id, type: actor.kind, type_id: 99 }, ...invokedBy(source?.agent) },
    api: {
      operation: record.action,
      ...(request && { request: { uid: request.id } }),
      ...(result && { response: { code: result.code } }),
    },
    category_uid: Math.floor(classUid / 1000),
    class_uid: classUid,
    ...(classUid === classes.entity && { entity: { type: target.kind, uid: target.id } }),
    ...(classUid === classes.process && {
      device: { type_id: virtualDevice, uid: target.id },
      process: { uid: request?.id ?? record.id },
    }),
    ...(request && { http_request: { http_method: request.method, url: { path: request.route } } }),
    metadata: {
      correlation_uid: request?.id,
      product: { name: 'SoulBox', vendor_name: 'SoulBox', version },
      sequence: record.seq,
      tenant_uid: target.team,
      uid: record.id,
      version: '1.5.0',
    },
    ...(target.id !== '' && { resources: [{ type: target.kind, uid: target.id }] }),
    severity_id: severityIds[severityOf(record)],
    src_endpoint: source?.network === undefined ? { type_id: 0 } : { subnet_uid: source.network, type_id: 0 },
    status_id: succeeded === undefined ? 0 : succeeded ? 1 : 2,
    time: record.time,
    type_uid: classUid * 100 + activityId,
    unmapped: { record },
  };
}

function classOf({ action, target }: AuditRecord): number {
  if (action === 'sandbox.run') return classes.process;
  return target.kind === 'key' || target.kind === 'team' || target.kind === 'subject' ? classes.entity : classes.api;
}

function invokedBy(agent: string | undefined): object {
  return agent === undefined ? {} : { invoked_by: agent };
}
