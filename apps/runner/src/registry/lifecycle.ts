import { SoulBoxError } from '@soulbox/base';

/**
 * The states of a sandbox on its host, as kept in its record:
 *
 *     booting --> warm --> claiming --> running <--> snapshotting <--> paused
 *                                        |  ^                           ^  |
 *     restoring (a copy) ----------------|--+---- resuming <------------|--+
 *     restoring (a spare of a snapshot) --> claiming
 *                                        +------> pausing --------------+
 *     booting --> building (the sandbox of a template build, nobody's to the end)
 *
 * Every one may go to `ending`, and from there only to no record at all. `pausing`, `resuming` and `snapshotting` lead back
 * to where they came from when they fail, and a snapshot whose source cannot go on leaves it paused.
 *
 * The record is written before the step it announces, so after a crash it says what was under way (recover.ts).
 */
export const sandboxStates = [
  'booting',
  'warm',
  'building',
  'claiming',
  'running',
  'pausing',
  'paused',
  'resuming',
  'snapshotting',
  'restoring',
  'ending',
] as const;

export type SandboxState = (typeof sandboxStates)[number];

const legalSteps = {
  booting: ['warm', 'building', 'ending'],
  warm: ['claiming', 'ending'],
  building: ['ending'],
  claiming: ['running', 'ending'],
  running: ['pausing', 'snapshotting', 'ending'],
  pausing: ['paused', 'running', 'ending'],
  paused: ['resuming', 'snapshotting', 'ending'],
  resuming: ['running', 'paused', 'ending'],
  snapshotting: ['running', 'paused', 'ending'],
  restoring: ['claiming', 'running', 'ending'],
  ending: [],
} as const satisfies Record<SandboxState, readonly SandboxState[]>;

/** States in which a tenant knows the sandbox; in all others it is nobody's, not yet told of, or as good as gone. */
const tenantStates: ReadonlySet<SandboxState> = new Set(['running', 'pausing', 'paused', 'resuming', 'snapshotting']);

export function isTenantState(state: SandboxState): boolean {
  return tenantStates.has(state);
}

/** Throws `illegal_transition` naming from and to, unless the step is in the table. */
export function checkStep(sandboxId: string, from: SandboxState, to: SandboxState): void {
  const steps: readonly SandboxState[] = legalSteps[from];
  if (!steps.includes(to)) throw illegalStep(sandboxId, from, to);
}

/** As `checkStep` for a pause: one that is paused already has a reason of its own, which clients look for. */
export function checkPause(sandboxId: string, from: SandboxState): void {
  if (from === 'paused') throw new SoulBoxError('already_paused', `Sandbox "${sandboxId}" is already paused.`);
  checkStep(sandboxId, from, 'pausing');
}

export function illegalStep(sandboxId: string, from: SandboxState, to: SandboxState): SoulBoxError {
  return new SoulBoxError('illegal_transition', `Sandbox "${sandboxId}" cannot change from ${from} to ${to}.`);
}
