import { SoulBoxError } from '@soulbox/base';

/**
 * The states of a sandbox on its host, as kept in its record:
 *
 *     booting --> warm --> claiming --> running --> ending --> (no record)
 *        \          \          \____________________/
 *         \__________\______________________________/
 *
 * The record is written before the step it announces. So after a crash: `booting`, `claiming` and `ending` were
 * under way and are removed (nobody has been told of a claim that has not finished); `warm` and `running` go on.
 */
export type SandboxState = 'booting' | 'warm' | 'claiming' | 'running' | 'ending';

const legalSteps = {
  booting: ['warm', 'ending'],
  warm: ['claiming', 'ending'],
  claiming: ['running', 'ending'],
  running: ['ending'],
  ending: [],
} as const satisfies Record<SandboxState, readonly SandboxState[]>;

/** States that a new server takes over; all others are finished off. */
export function survivesRestart(state: SandboxState): boolean {
  return state === 'warm' || state === 'running';
}

/** Throws `illegal_transition` naming from and to, unless the step is in the table. */
export function checkStep(sandboxId: string, from: SandboxState, to: SandboxState): void {
  const steps: readonly SandboxState[] = legalSteps[from];
  if (!steps.includes(to)) {
    throw new SoulBoxError('illegal_transition', `Sandbox ${sandboxId} cannot go from ${from} to ${to}.`);
  }
}
