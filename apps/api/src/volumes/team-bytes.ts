import { SoulBoxError } from '@soulbox/base';
import type { ApiContext } from '../context.ts';
import { mib, raiseTeam } from '../quotas/budgets.ts';
import { storedHintSeconds } from '../quotas/quotas.ts';

/** Bytes that the volumes of a team may have together; the volume service counts. Undefined: no limit. */
export async function teamBytesOf({ quotas }: ApiContext, teamId: string): Promise<number | undefined> {
  const { volume_mb: limitMb } = await quotas.limitsOf(teamId);
  return limitMb === Infinity ? undefined : limitMb * mib;
}

/** Adds to the error of the volume service at that limit what can be done. Other errors stay as they are. */
export function explainTeamBytes(thrown: unknown): unknown {
  if (!(thrown instanceof SoulBoxError) || thrown.reason !== 'limit_exceeded') return thrown;
  return new SoulBoxError('limit_exceeded', `${thrown.message} ${raiseTeam('volume_mb')}`, {
    retryAfterSeconds: storedHintSeconds,
  });
}
