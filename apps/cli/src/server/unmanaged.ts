import { join } from 'node:path';
import type { UnmanagedSandbox } from '@soulbox/box/unmanaged';
import { openDiskReserve } from '@soulbox/storage';

/** Limit of the ids that are listed; further ones are only counted. */
const namedMax = 20;

/** Describes the sandboxes that a dead server left running, and what to do about them. */
export function describeUnmanaged(sandboxes: readonly UnmanagedSandbox[]): string {
  const tenants = sandboxes.filter(({ isSpare }) => !isSpare).map(({ sandboxId }) => sandboxId);
  const spares = sandboxes.length - tenants.length;
  const named = tenants.slice(0, namedMax).join(', ') + (tenants.length > namedMax ? ', ...' : '');
  const who = [
    ...(tenants.length > 0 ? [`${tenants.length} ${tenants.length === 1 ? 'sandbox' : 'sandboxes'} (${named})`] : []),
    ...(spares > 0 ? [`${spares} ${spares === 1 ? 'spare' : 'spares'}`] : []),
  ].join(' and ');
  return sandboxes.length === 1
    ? `${who} still runs, but its server is dead: its timeout is not enforced`
    : `${who} still run, but their server is dead: their timeouts are not enforced`;
}

export const unmanagedFix = '"soulbox up" adopts them, "soulbox down --end-sandboxes" ends them';

/**
 * Ends them through a temporary server, which adopts them, listens on ports that nobody knows, and stops. Interrupted
 * steps are thereby completed or undone, paused sandboxes stay, and the records show what happened.
 */
export async function endUnmanaged(dataDirectory: string, sandboxes: readonly UnmanagedSandbox[]): Promise<void> {
  openDiskReserve(join(dataDirectory, 'reserve')).makeRoom();
  const { runBriefServer } = await import('./run-server.ts');
  const instance = sandboxes[0]?.instance ?? 0;
  const overrides = { dataDirectory, instance, host: '127.0.0.1', port: 0, tlsPort: 0, poolSize: 0 };
  const box = await runBriefServer(overrides, join(dataDirectory, 'logs/server.log'));
  await box.close({ keepSandboxes: false });
}
