import { SoulBoxError } from '@soulbox/base';

/**
 * The states of a sandbox on its host, as kept in its record:
 *
 *     booting --> warm --> claiming --> running <--> snapshotting <--> paused
 *                                        |  ^                           ^  |
 *     restoring (a copy) ----------------|--+---- resuming <------------|--+
 *     restoring (a spare of a snapshot) --> claiming
 *                                        +------> pausing --------------+
 *     booting --> building (the sandbox of a template build, which never has a tenant)
 *
 * Every state may change to `ending`, after which the record is removed. When `pausing`, `resuming` or `snapshotting`
 * fails, the sandbox returns to the previous state. A snapshot whose source cannot continue leaves the source paused.
 *
 * The record is written before the step that it announces, so after a crash it shows the step that was in progress
 * (recover.ts).
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

/**
 * States in which a tenant knows the sandbox. In the others it has no tenant, is not announced yet, or is being
 * removed.
 */
const tenantStates: ReadonlySet<SandboxState> = new Set(['running', 'pausing', 'paused', 'resuming', 'snapshotting']);

export function isTenantState(state: SandboxState): boolean {
  return tenantStates.has(state);
}

/** Throws `illegal_transition`, which names both states, unless the step is in the table. */
export function checkStep(sandboxId: string, from: SandboxState, to: SandboxState): void {
  const steps: readonly SandboxState[] = legalSteps[from];
  if (!steps.includes(to)) throw illegalStep(sandboxId, from, to);
}

/** Like `checkStep` for a pause. Clients look for the special reason for a sandbox that is paused already. */
export function checkPause(sandboxId: string, from: SandboxState): void {
  if (from === 'paused') throw new SoulBoxError('already_paused', `Sandbox "${sandboxId}" is already paused.`);
  checkStep(sandboxId, from, 'pausing');
}

export function illegalStep(sandboxId: string, from: SandboxState, to: SandboxState): SoulBoxError {
  return new SoulBoxError('illegal_transition', `Sandbox "${sandboxId}" cannot change from ${from} to ${to}.`);
}
