/**
 * What the published schemas require of the events that we write, as facts: names, numbers and allowed values.
 *
 * - OCSF 1.5.0 (schema.ocsf.io/1.5.0, Apache-2.0): classes 1007, 3004 and 6003, and the objects in them.
 * - Elastic Common Schema 9 (elastic.co/docs/reference/ecs, Apache-2.0): allowed values of the four categorization fields,
 *   and which types belong to a category.
 */

interface OcsfObject {
  readonly required?: readonly string[];
  readonly optional: readonly string[];
  readonly atLeastOne?: readonly string[];
  readonly values?: Readonly<Record<string, readonly (number | string)[]>>;
}

/** Members that every event has or may have. */
const base = {
  required: ['category_uid', 'class_uid', 'metadata', 'severity_id', 'time', 'type_uid', 'activity_id'],
  optional: [
    ...['activity_name', 'category_name', 'class_name', 'count', 'duration', 'end_time', 'enrichments', 'message'],
    ...['observables', 'raw_data', 'raw_data_size', 'severity', 'start_time', 'status', 'status_code', 'status_detail'],
    ...['status_id', 'timezone_offset', 'type_name', 'unmapped'],
  ],
  values: { severity_id: [0, 1, 2, 3, 4, 5, 6, 99], status_id: [0, 1, 2, 99] },
};

const web = ['http_request', 'http_response'];

export const ocsfClasses: Readonly<Record<number, OcsfObject & { readonly category: number }>> = {
  1007: {
    category: 1,
    required: [...base.required, 'device', 'process'],
    optional: [...base.optional, 'actor', 'actual_permissions', 'exit_code', 'module', 'requested_permissions'],
    values: { ...base.values, activity_id: [0, 1, 2, 3, 4, 5, 99] },
  },
  3004: {
    category: 3,
    required: [...base.required, 'entity'],
    optional: [...base.optional, ...web, 'actor', 'src_endpoint', 'access_list', 'comment', 'entity_result'],
    values: { ...base.values, activity_id: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 99] },
  },
  6003: {
    category: 6,
    required: [...base.required, 'actor', 'api', 'src_endpoint'],
    optional: [...base.optional, ...web, 'dst_endpoint', 'resources'],
    values: { ...base.values, activity_id: [0, 1, 2, 3, 4, 99] },
  },
};

const entityIdentity = ['name', 'uid'];
const endpointIdentity = [
  ...['ip', 'uid', 'name', 'hostname', 'svc_name', 'instance_uid', 'interface_uid', 'interface_name', 'domain'],
];

/** By the name of the member that has the object. Members with other objects are not in our events. */
export const ocsfObjects: Readonly<Record<string, OcsfObject>> = {
  actor: {
    // `invoked_by` is deprecated since 1.2.
    optional: ['app_name', 'app_uid', 'authorizations', 'idp', 'process', 'session', 'user'],
    atLeastOne: ['app_name', 'app_uid', 'process', 'session', 'user'],
  },
  user: {
    optional: ['name', 'uid', 'account', 'credential_uid', 'groups', 'org', 'type', 'type_id', 'uid_alt'],
    atLeastOne: ['account', 'name', 'uid'],
    values: { type_id: [0, 1, 2, 3, 99] },
  },
  api: { required: ['operation'], optional: ['group', 'request', 'response', 'service', 'version'] },
  request: { required: ['uid'], optional: ['containers', 'data', 'flags'] },
  response: { optional: ['code', 'containers', 'data', 'error', 'error_message', 'flags', 'message'] },
  src_endpoint: {
    optional: [...endpointIdentity, 'port', 'subnet_uid', 'type', 'type_id'],
    atLeastOne: endpointIdentity,
  },
  resources: {
    optional: [...entityIdentity, 'data', 'labels', 'namespace', 'owner', 'region', 'type', 'version'],
    atLeastOne: entityIdentity,
  },
  entity: { optional: [...entityIdentity, 'data', 'type', 'type_id', 'version'], atLeastOne: entityIdentity },
  device: {
    required: ['type_id'],
    optional: [...endpointIdentity, 'type'],
    atLeastOne: endpointIdentity,
    values: { type_id: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 99] },
  },
  process: { optional: ['name', 'uid', 'pid', 'cmd_line', 'created_time'], atLeastOne: ['pid', 'uid'] },
  http_request: { optional: ['http_method', 'uid', 'url', 'user_agent', 'version'] },
  url: { optional: ['hostname', 'path', 'port', 'query_string', 'scheme', 'url_string'] },
  metadata: {
    required: ['product', 'version'],
    optional: ['correlation_uid', 'event_code', 'labels', 'logged_time', 'profiles', 'sequence', 'tenant_uid', 'uid'],
    values: { version: ['1.5.0'] },
  },
  product: { optional: ['name', 'uid', 'feature', 'vendor_name', 'version'], atLeastOne: entityIdentity },
};

export const ecsValues = {
  kind: ['alert', 'asset', 'enrichment', 'event', 'metric', 'state', 'pipeline_error', 'signal'],
  outcome: ['failure', 'success', 'unknown'],
} as const;

/** Types by category, of the categories that we use. */
export const ecsTypes: Readonly<Record<string, readonly string[]>> = {
  configuration: ['access', 'change', 'creation', 'deletion', 'info'],
  iam: ['admin', 'change', 'creation', 'deletion', 'group', 'info', 'user'],
  process: ['access', 'change', 'end', 'info', 'start'],
};

/** Fields of ECS that we use, with their types. `soulbox` is ours: ECS leaves other names to the source. */
export const ecsFields: Readonly<Record<string, 'text' | 'number' | 'date' | 'texts'>> = {
  '@timestamp': 'date',
  'ecs.version': 'text',
  'event.action': 'text',
  'event.category': 'texts',
  'event.dataset': 'text',
  'event.id': 'text',
  'event.kind': 'text',
  'event.outcome': 'text',
  'event.sequence': 'number',
  'event.severity': 'number',
  'event.type': 'texts',
  'http.request.id': 'text',
  'http.request.method': 'text',
  'http.response.status_code': 'number',
  'observer.product': 'text',
  'observer.vendor': 'text',
  'observer.version': 'text',
  'organization.id': 'text',
  'source.address': 'text',
  'url.path': 'text',
  'user.id': 'text',
  'user.roles': 'texts',
  'user_agent.name': 'text',
};

/**
 * Keys of CEF's extension dictionary (version 25) that we use, with the longest value that it allows; `time` is in
 * milliseconds since the Unix epoch, `integer` has no length.
 */
export const cefKeys: Readonly<Record<string, number | 'time' | 'integer'>> = {
  act: 63,
  cn1: 'integer',
  cn1Label: 1023,
  ...Object.fromEntries([1, 2, 3, 4].flatMap((n) => [[`cs${n}`, 4000] as const, [`cs${n}Label`, 1023] as const])),
  duid: 1023,
  externalId: 40,
  outcome: 63,
  reason: 1023,
  request: 1023,
  requestClientApplication: 1023,
  requestMethod: 1023,
  rt: 'time',
  spriv: 1023,
  suid: 1023,
};
