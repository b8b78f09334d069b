import type { ApiConfig } from '../config.ts';
import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';

/** The resources that are counted per team. */
export const usageNames = [
  'disk_bytes',
  'paused_memory_bytes',
  'snapshots',
  'upload_bytes',
  'kv_bytes',
  'events',
] as const;
export type UsageName = (typeof usageNames)[number];
export type Usage = Readonly<Record<UsageName, { readonly used: number; readonly limit: number }>>;

const mib = 1024 * 1024;

/** The usage and limits of a team, read from records and files, so that a restart does not change them. */
export async function readUsage(context: ApiContext, teamId: string): Promise<Usage> {
  const { records, config } = context;
  const kept = await records.teams.readUsage(teamId);
  return {
    ...(await readHostUsage(context, teamId)),
    snapshots: { used: kept.snapshots, limit: config.teamSnapshotLimit },
    upload_bytes: { used: kept.uploadBytes, limit: config.teamBuildFilesMb * mib },
    kv_bytes: { used: kept.kvBytes, limit: config.teamKvMb * mib },
    events: { used: kept.events, limit: config.teamEventLimit },
  };
}

/** The part that only the runner knows. */
async function readHostUsage(
  { runner, config }: ApiContext,
  teamId: string,
): Promise<Pick<Usage, 'disk_bytes' | 'paused_memory_bytes'>> {
  const host = await callRunner((options) => runner.getTeamUsage({ teamId }, options));
  return {
    disk_bytes: { used: Number(host.diskBytes), limit: config.teamDiskMb * mib },
    paused_memory_bytes: { used: Number(host.pausedMemoryBytes), limit: config.teamPausedMemoryMb * mib },
  };
}

/** The limits that the runner checks before a step that needs more space. */
export function limitsForRunner(config: ApiConfig): { diskBytes: bigint; pausedMemoryBytes: bigint } {
  return {
    diskBytes: BigInt(config.teamDiskMb * mib),
    pausedMemoryBytes: BigInt(config.teamPausedMemoryMb * mib),
  };
}
