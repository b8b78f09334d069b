import { hasFastGroupMoves } from '@soulbox/isolation';
import type { Check } from '../finding.ts';
import { sameFix } from '../finding.ts';

/** This only affects speed. */
export const checkCgroupMoves: Check = async () => {
  const base = {
    id: 'cgroup-moves',
    title: 'Moves between control groups',
    protects: 'start and resume times of sandboxes',
  };
  const fast = await Promise.resolve(hasFastGroupMoves());
  if (fast === true) return { ...base, status: 'ok', detail: 'favordynmods is set' };
  if (fast === undefined)
    return { ...base, status: 'ok', detail: 'there is no cgroup v2 tree: starts take a few milliseconds more' };
  return {
    ...base,
    status: 'warn',
    detail: 'favordynmods is not set: each start and resume waits a few milliseconds for the kernel',
    fix: sameFix('soulbox setup sets it until the next boot (requires Linux 6.0)'),
  };
};
