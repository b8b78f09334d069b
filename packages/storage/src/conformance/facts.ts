import type { ReportedSandbox } from '../records/sandbox-record.ts';
import type { SandboxListQuery } from '../records/sandboxes.ts';

/** A running sandbox for tests of records. */
export function facts(
  id: string,
  teamId: string,
  startedAt: number,
  more: Partial<ReportedSandbox> = {},
): ReportedSandbox {
  return {
    id,
    teamId,
    templateId: 'tbase',
    alias: 'base',
    metadata: {},
    startedAt,
    endAt: 1_000_000,
    cpuCount: 2,
    memoryMb: 1024,
    diskSizeMb: 10_240,
    envdVersion: '0.6.13',
    network: {
      allowInternetAccess: undefined,
      allowOut: [],
      denyOut: ['10.0.0.0/8'],
      allowPublicTraffic: false,
      maskRequestHost: undefined,
    },
    lifecycle: { autoResume: false, onTimeout: 'kill', idleTimeoutSeconds: 0 },
    volumes: [],
    isolation: 'container',
    createdBy: '',
    creationId: '',
    state: 'running',
    cause: 'request',
    stateSince: startedAt,
    ...more,
  };
}

/** A query for all live sandboxes of a team. */
export function listQuery(teamId: string, more: Partial<SandboxListQuery> = {}): SandboxListQuery {
  return {
    teamId,
    aliveAfter: 0,
    states: ['running', 'paused'],
    metadata: {},
    template: undefined,
    startedAfter: undefined,
    order: 'desc',
    after: undefined,
    limit: 100,
    maxChars: 1e9,
    ...more,
  };
}
