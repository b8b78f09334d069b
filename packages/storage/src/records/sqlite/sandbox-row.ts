import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { NetworkRecord, SandboxEndCause, SandboxFacts, SandboxRecord } from '../sandbox-record.ts';

/** A row of `sandboxes` to the record. The JSON columns were written by `factsToRow` and are trusted. */
export function sandboxFromRow(row: Record<string, SQLOutputValue>): SandboxRecord {
  const network = JSON.parse(String(row['network'])) as Partial<NetworkRecord>;
  const facts: SandboxFacts = {
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
    // JSON leaves undefined members out; the record names every one.
    network: {
      allowInternetAccess: network.allowInternetAccess,
      allowOut: network.allowOut ?? [],
      denyOut: network.denyOut ?? [],
      allowPublicTraffic: network.allowPublicTraffic,
      maskRequestHost: network.maskRequestHost,
    },
    lifecycle: JSON.parse(String(row['lifecycle'])) as SandboxFacts['lifecycle'],
  };
  if (row['state'] === 'running') return { ...facts, state: 'running' };
  return { ...facts, state: 'ended', endedAt: Number(row['ended_at']), cause: row['cause'] as SandboxEndCause };
}

/** In the order of the columns of the insert. */
export function factsToRow(facts: SandboxFacts): SQLInputValue[] {
  return [
    ...[facts.id, facts.teamId, facts.templateId, facts.alias, JSON.stringify(facts.metadata)],
    ...[facts.startedAt, facts.endAt, facts.cpuCount, facts.memoryMb, facts.diskSizeMb, facts.envdVersion],
    ...[JSON.stringify(facts.network), JSON.stringify(facts.lifecycle)],
  ];
}
