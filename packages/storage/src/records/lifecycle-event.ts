import type { Cause } from '@soulbox/contract';
import type { SandboxRecord } from './sandbox-record.ts';

/** E2B's complete list of lifecycle event types. */
export const lifecycleEventTypes = [
  'sandbox.lifecycle.created',
  'sandbox.lifecycle.killed',
  'sandbox.lifecycle.updated',
  'sandbox.lifecycle.paused',
  'sandbox.lifecycle.resumed',
  'sandbox.lifecycle.checkpointed',
] as const;

export type LifecycleEventType = (typeof lifecycleEventTypes)[number];

/** A period of running, from a start or resume to a pause or end. */
export interface Execution {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly cpuCount: number;
  /** MiB. */
  readonly memoryMb: number;
}

/** An event of a sandbox before it gets a number. */
export interface NewLifecycleEvent {
  readonly type: LifecycleEventType;
  readonly at: number;
  readonly cause: Cause;
  /** The record after the change. */
  readonly sandbox: SandboxRecord;
  /** For a pause, and for the end of a sandbox that ran. */
  readonly execution: Execution | undefined;
  /** For a checkpoint that was kept as a snapshot: its id. */
  readonly snapshotId: string | undefined;
}

/** Causes of events of a sandbox that runs both before and after. */
const updatingCauses: ReadonlySet<Cause> = new Set(['host_disk_full', 'host_disk_free']);

/**
 * The events that a change of a live sandbox's row means for an observer: one, none, or two for a sandbox that is
 * already paused when the records first learn of it. `now` is the time of changes without a time of their own.
 */
export function eventsOfChange(
  before: SandboxRecord | undefined,
  after: SandboxRecord,
  now: number,
): NewLifecycleEvent[] {
  const { cause, stateSince } = after;
  const paused = after.state === 'paused';
  if (before === undefined) {
    const created = eventOf('created', after, after.startedAt, paused ? 'interrupted' : cause);
    return paused ? [created, pauseOf(after, after)] : [created];
  }
  if (paused) return before.state === 'paused' ? newsOfPaused(before, after, now) : [pauseOf(before, after)];
  // The same state with a later start: it was paused and resumed without a report.
  if (before.state === 'paused' || stateSince > before.stateSince)
    return [eventOf('resumed', after, stateSince, cause)];
  if (cause !== before.cause && updatingCauses.has(cause)) return [eventOf('updated', after, now, cause)];
  const same = before.endAt === after.endAt && isSameMap(before.metadata, after.metadata);
  return same ? [] : [eventOf('updated', after, now, 'request')];
}

/** A resume that failed after its processes had run leaves a different checkpoint than before. */
function newsOfPaused(before: SandboxRecord, after: SandboxRecord, now: number): NewLifecycleEvent[] {
  const isNews = after.cause === 'resume_failed' && after.stateSince > before.stateSince;
  return isNews ? [eventOf('updated', after, now, after.cause)] : [];
}

/** The end of a sandbox, for any cause. */
export function eventOfEnd(before: SandboxRecord, after: SandboxRecord): NewLifecycleEvent {
  const ended = eventOf('killed', after, after.stateSince, after.cause);
  return before.state === 'running' ? { ...ended, execution: executionOf(before, after.stateSince) } : ended;
}

/** It had been reported as lost, but existed all the time. */
export function eventOfReturn(after: SandboxRecord, now: number): NewLifecycleEvent {
  return eventOf('updated', after, now, 'recovered');
}

/** A copy of the sandbox was kept, as a snapshot (then with its id) or for forks. */
export function eventOfCheckpoint(
  sandbox: SandboxRecord,
  at: number,
  snapshotId: string | undefined,
): NewLifecycleEvent {
  return { ...eventOf('checkpointed', sandbox, at, snapshotId === undefined ? 'fork' : 'request'), snapshotId };
}

type ShortType = LifecycleEventType extends `sandbox.lifecycle.${infer Short}` ? Short : never;

function eventOf(type: ShortType, sandbox: SandboxRecord, at: number, cause: Cause): NewLifecycleEvent {
  return { type: `sandbox.lifecycle.${type}`, at, cause, sandbox, execution: undefined, snapshotId: undefined };
}

function pauseOf(before: SandboxRecord, after: SandboxRecord): NewLifecycleEvent {
  const { stateSince: at, cause } = after;
  return { ...eventOf('paused', after, at, cause), execution: executionOf(before, at) };
}

function executionOf(sandbox: SandboxRecord, endedAt: number): Execution {
  const { executionStartedAt: startedAt, cpuCount, memoryMb } = sandbox;
  return { startedAt, endedAt: Math.max(startedAt, endedAt), cpuCount, memoryMb };
}

function isSameMap(one: Readonly<Record<string, string>>, other: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(one);
  return keys.length === Object.keys(other).length && keys.every((key) => one[key] === other[key]);
}
