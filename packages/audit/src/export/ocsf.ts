import type { AuditRecord } from '../record.ts';
import { activityOf, hasSucceeded, isAboutIdentity, isAboutProcess, severityOf } from './activity.ts';
import type { Activity, Severity } from './activity.ts';

/** Activities have the same numbers in the classes below; 99 is "other" in all of OCSF. */
const activityIds: Readonly<Record<Activity, number>> = { create: 1, read: 2, update: 3, delete: 4, other: 99 };
const severityIds: Readonly<Record<Severity, number>> = { informational: 1, low: 2, medium: 3, high: 4 };
/** Classes of OCSF 1.5: Process Activity, Entity Management, API Activity. */
const classes = { process: 1007, entity: 3004, api: 6003 } as const;
type OcsfClass = keyof typeof classes;
const launch = 1;
const virtualDevice = 6;
const otherType = 99;
const unknownType = 0;

/** OCSF 1.5, one object for each line of JSON. */
export function toOcsf(record: AuditRecord, version: string): object {
  const { actor, target, request, source } = record;
  const ocsfClass = classOf(record);
  const classUid = classes[ocsfClass];
  const activityId = ocsfClass === 'process' ? launch : activityIds[activityOf(record)];
  const succeeded = hasSucceeded(record);
  return {
    activity_id: activityId,
    actor: {
      user: { uid: actor.id, type: actor.kind, type_id: otherType },
      ...(source?.agent !== undefined && { app_name: source.agent }),
    },
    category_uid: Math.floor(classUid / 1000),
    class_uid: classUid,
    ...membersOf[ocsfClass](record),
    metadata: {
      correlation_uid: request?.id,
      event_code: record.action,
      product: { name: 'SoulBox', vendor_name: 'SoulBox', version },
      sequence: record.seq,
      tenant_uid: target.team,
      uid: record.id,
      version: '1.5.0',
    },
    severity_id: severityIds[severityOf(record)],
    status_id: succeeded === undefined ? 0 : succeeded ? 1 : 2,
    time: record.time,
    type_uid: classUid * 100 + activityId,
    unmapped: { record },
  };
}

/** Each class has other members, and a consumer may refuse those that a class does not have. */
const membersOf: Readonly<Record<OcsfClass, (record: AuditRecord) => object>> = {
  process: (record) => ({
    device: { type_id: virtualDevice, uid: record.target.id },
    process: { uid: record.request?.id ?? record.id },
  }),
  entity: (record) => ({
    entity: { type: record.target.kind, ...identityOf(record) },
    ...httpOf(record),
    src_endpoint: endpointOf(record),
  }),
  api: (record) => ({
    api: {
      operation: record.action,
      ...(record.request && { request: { uid: record.request.id } }),
      ...(record.result && { response: { code: record.result.code } }),
    },
    ...httpOf(record),
    ...(record.target.id !== '' && { resources: [{ type: record.target.kind, uid: record.target.id }] }),
    src_endpoint: endpointOf(record),
  }),
};

function classOf(record: AuditRecord): OcsfClass {
  if (isAboutProcess(record)) return 'process';
  return isAboutIdentity(record) ? 'entity' : 'api';
}

/** An entity must have an id or a name. */
function identityOf({ target }: AuditRecord): object {
  return target.id === '' ? { name: target.kind } : { uid: target.id };
}

function httpOf({ request }: AuditRecord): object {
  return request === undefined ? {} : { http_request: { http_method: request.method, url: { path: request.route } } };
}

/**
 * An endpoint must have an address, an id or a name. The record has only the network of the caller, which is no address
 * and no id of a subnet, so it is the name; without a caller, the server itself is the source.
 */
function endpointOf({ request, source }: AuditRecord): object {
  return { name: source?.network ?? (request === undefined ? 'soulbox' : 'unknown'), type_id: unknownType };
}
