import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { Cause } from '@soulbox/contract';
import type { NetworkRecord, SandboxRecord } from '../sandbox-record.ts';

/** Converts a row of `sandboxes` to the record. The JSON columns were written by `rowFromSandbox` and are trusted. */
export function sandboxFromRow(row: Record<string, SQLOutputValue>): SandboxRecord {
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    templateId: String(row['template_id']),
    alias: String(row['alias']),
    metadata: JSON.parse(String(row['metadata'])) as Record<string, string>,
    startedAt: Number(row['started_at']),
    endAt: Number(row['end_at']),
    cpuCount: Number(row['cpu_count']),
    memoryMb: Number(row['memory_mb']),
    diskSizeMb: Number(row['disk_size_mb']),
    envdVersion: String(row['envd_version']),
    network: networkFromJson(String(row['network'])),
    lifecycle: JSON.parse(String(row['lifecycle'])) as SandboxRecord['lifecycle'],
    volumes: JSON.parse(String(row['volumes'])) as SandboxRecord['volumes'],
    isolation: String(row['isolation']),
    createdBy: String(row['created_by']),
    creationId: String(row['creation_id']),
    state: row['state'] as SandboxRecord['state'],
    cause: row['cause'] as Cause,
    stateSince: Number(row['state_since']),
    executionStartedAt: Number(row['execution_started_at']),
  };
}

/** JSON leaves out undefined members; the record names every one. */
function networkFromJson(text: string): NetworkRecord {
  const network = JSON.parse(text) as Partial<NetworkRecord>;
  return {
    allowInternetAccess: network.allowInternetAccess,
    allowOut: network.allowOut ?? [],
    denyOut: network.denyOut ?? [],
    allowPublicTraffic: network.allowPublicTraffic,
    maskRequestHost: network.maskRequestHost,
  };
}

/** The columns of the row except the team, which never changes, in the order of `rowFromSandbox`. */
const changing = [
  ...['template_id', 'alias', 'metadata', 'started_at', 'end_at', 'cpu_count', 'memory_mb', 'disk_size_mb'],
  ...['envd_version', 'network', 'lifecycle', 'isolation', 'state', 'cause', 'state_since', 'execution_started_at'],
  ...['created_by', 'creation_id', 'volumes'],
];

/** Writes a row, new or known. */
export const writeSandboxSql = `
  INSERT INTO sandboxes (id, team_id, ${changing.join(', ')}) VALUES (?, ?${', ?'.repeat(changing.length)})
  ON CONFLICT (id) DO UPDATE SET ${changing.map((column) => `${column} = excluded.${column}`).join(', ')}`;

/** The values of `writeSandboxSql`. */
export function rowFromSandbox(record: SandboxRecord): SQLInputValue[] {
  return [
    ...[record.id, record.teamId, record.templateId, record.alias, JSON.stringify(record.metadata)],
    ...[record.startedAt, record.endAt, record.cpuCount, record.memoryMb, record.diskSizeMb, record.envdVersion],
    ...[JSON.stringify(record.network), JSON.stringify(record.lifecycle), record.isolation],
    ...[record.state, record.cause, record.stateSince, record.executionStartedAt],
    ...[record.createdBy, record.creationId, JSON.stringify(record.volumes)],
  ];
}
