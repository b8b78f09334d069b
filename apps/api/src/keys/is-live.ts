import type { SessionRecord } from '@soulbox/storage';

/** Whether a session has not ended, neither at its end nor for want of requests. */
export function isLive({ expiresAt, seenAt }: SessionRecord, now: number, idleMs: number): boolean {
  return expiresAt > now && seenAt + idleMs > now;
}
