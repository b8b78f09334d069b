import { SoulBoxError } from '@soulbox/base';

/** Throws `sandbox_resume_failed` unless a restore gives the volumes that the saved sandbox had. Keys, in any order. */
export function requireSameVolumes(saved: readonly string[], given: readonly string[]): void {
  const lacking = saved.filter((key) => !given.includes(key));
  const foreign = given.filter((key) => !saved.includes(key));
  if (lacking.length === 0 && foreign.length === 0 && new Set(given).size === given.length) return;
  const [had, has] = [saved, given].map((keys) => keys.toSorted().join(', ') || 'none');
  throw new SoulBoxError(
    'sandbox_resume_failed',
    `The saved sandbox has other volumes (${had}) than it gets (${has}).`,
  );
}
