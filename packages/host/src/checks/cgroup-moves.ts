import { hasFastGroupMoves } from '@soulbox/isolation';
import type { Check } from '../finding.ts';
import { sameFix } from '../finding.ts';

/** Only a matter of speed. */
export const checkCgroupMoves: Check = async () => {
  const base = {
    id: 'cgroup-moves',
    title: 'Moves between control groups',
    protects: 'how fast sandboxes start and wake',
  };
  const fast = await Promise.resolve(hasFastGroupMoves());
  if (fast === true) return { ...base, status: 'ok', detail: 'favordynmods is set' };
  if (fast === undefined) return { ...base, status: 'ok', detail: 'there is no v2 tree: some milliseconds slower' };
  return {
    ...base,
    status: 'warn',
    detail: 'favordynmods is not set: each start and resume waits some milliseconds for the kernel',
    fix: sameFix('soulbox setup sets it until the next boot; it needs Linux 6.0'),
  };
};
