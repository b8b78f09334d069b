import type { ApiContext } from '../context.ts';
import { aliveAfter } from '../lookup/sandbox.ts';
import type { TeamLimits } from '../quotas/limit-table.ts';
import { callRunner } from '../runner/call.ts';

/** The resources that are counted per team. */
export const usageNames = [
  'sandboxes',
  'memory_bytes',
  'disk_bytes',
  'paused_memory_bytes',
  'snapshots',
  'storage_bytes',
  'upload_bytes',
  'kv_bytes',
  'events',
  'cpu_seconds_today',
  'egress_bytes_today',
] as const;
export type UsageName = (typeof usageNames)[number];
/** Infinity: no limit. */
export type Usage = Readonly<Record<UsageName, { readonly used: number; readonly limit: number }>>;

const mib = 1024 * 1024;

/** The usage and limits of a team, read from records and files, so that a restart does not change them. */
export async function readUsage(context: ApiContext, teamId: string): Promise<Usage> {
  const { records, config, quotas } = context;
  const limits = await quotas.limitsOf(teamId);
  const kept = await records.teams.readUsage(teamId);
  const today = await records.quotas.readTeamDay(teamId, quotas.today());
  const storedBytes = kept.snapshotBytes + kept.uploadBytes + kept.kvBytes;
  return {
    sandboxes: { used: await countRunning(context, teamId), limit: limits.sandboxes },
    memory_bytes: {
      used: (await records.quotas.readRunningMemoryMb(teamId, aliveAfter(context))) * mib,
      limit: limits.memory_mb * mib,
    },
    ...(await readHostUsage(context, teamId, limits)),
    snapshots: { used: kept.snapshots, limit: limits.snapshots },
    storage_bytes: { used: storedBytes, limit: limits.storage_mb * mib },
    upload_bytes: { used: kept.uploadBytes, limit: limits.upload_mb * mib },
    kv_bytes: { used: kept.kvBytes, limit: config.teamKvMb * mib },
    events: { used: kept.events, limit: config.teamEventLimit },
    cpu_seconds_today: { used: today.cpuMs / 1000, limit: limits.cpu_seconds_per_day },
    egress_bytes_today: { used: today.egressBytes, limit: limits.egress_mb_per_day * mib },
  };
}

async function countRunning(context: ApiContext, teamId: string): Promise<number> {
  const all = { metadata: {}, template: undefined, startedAfter: undefined };
  return await context.records.sandboxes.count({
    teamId,
    aliveAfter: aliveAfter(context),
    states: ['running'],
    ...all,
  });
}

/** The part that only the runner knows. */
async function readHostUsage(
  { runner }: ApiContext,
  teamId: string,
  limits: TeamLimits,
): Promise<Pick<Usage, 'disk_bytes' | 'paused_memory_bytes'>> {
  const host = await callRunner((options) => runner.getTeamUsage({ teamId }, options));
  return {
    disk_bytes: { used: Number(host.diskBytes), limit: limits.disk_mb * mib },
    paused_memory_bytes: { used: Number(host.pausedMemoryBytes), limit: limits.paused_memory_mb * mib },
  };
}

/** The limits that the runner checks before a step that needs more space. */
export function limitsForRunner(limits: TeamLimits): { diskBytes: bigint; pausedMemoryBytes: bigint } {
  return { diskBytes: bytesOf(limits.disk_mb), pausedMemoryBytes: bytesOf(limits.paused_memory_mb) };
}

/** The largest number of 64 bits stands for no limit. */
function bytesOf(limitMb: number): bigint {
  return limitMb === Infinity ? 2n ** 64n - 1n : BigInt(limitMb * mib);
}
