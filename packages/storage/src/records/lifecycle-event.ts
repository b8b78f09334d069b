import type { Cause } from '@soulbox/contract';
import type { SandboxRecord } from './sandbox-record.ts';

/** E2B's types of lifecycle events, the whole list. */
export const lifecycleEventTypes = [
  'sandbox.lifecycle.created',
  'sandbox.lifecycle.killed',
  'sandbox.lifecycle.updated',
  'sandbox.lifecycle.paused',
  'sandbox.lifecycle.resumed',
  'sandbox.lifecycle.checkpointed',
] as const;

export type LifecycleEventType = (typeof lifecycleEventTypes)[number];

/** A stretch of running, from a start or resume to a pause or end. */
export interface Execution {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly cpuCount: number;
  /** MiB. */
  readonly memoryMb: number;
}

/** What happened to a sandbox, before it has a number. */
export interface NewLifecycleEvent {
  readonly type: LifecycleEventType;
  readonly at: number;
  readonly cause: Cause;
  /** As it is after the change. */
  readonly sandbox: SandboxRecord;
  /** Of a pause, and of the end of a sandbox that ran. */
  readonly execution: Execution | undefined;
  /** Of a checkpoint that was kept as a snapshot: its id. */
  readonly snapshotId: string | undefined;
}

/** Of what happens to a sandbox that runs before and after. */
const updatingCauses: ReadonlySet<Cause> = new Set(['host_disk_full', 'host_disk_free']);

/**
 * What a change of a live sandbox's row means to somebody who follows it: one event, none, or two for one that is paused
 * already when the records first hear of it. `now` is the time of changes that carry none of their own.
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
  // A later start of the same state: it was paused and resumed while nobody told us.
  if (before.state === 'paused' || stateSince > before.stateSince)
    return [eventOf('resumed', after, stateSince, cause)];
  if (cause !== before.cause && updatingCauses.has(cause)) return [eventOf('updated', after, now, cause)];
  const same = before.endAt === after.endAt && isSameMap(before.metadata, after.metadata);
  return same ? [] : [eventOf('updated', after, now, 'request')];
}

/** A resume that failed after its processes had run leaves another state than the one before. */
function newsOfPaused(before: SandboxRecord, after: SandboxRecord, now: number): NewLifecycleEvent[] {
  const isNews = after.cause === 'resume_failed' && after.stateSince > before.stateSince;
  return isNews ? [eventOf('updated', after, now, after.cause)] : [];
}

/** The end of a sandbox, whatever the cause. */
export function eventOfEnd(before: SandboxRecord, after: SandboxRecord): NewLifecycleEvent {
  const ended = eventOf('killed', after, after.stateSince, after.cause);
  return before.state === 'running' ? { ...ended, execution: executionOf(before, after.stateSince) } : ended;
}

/** It had been told of as lost, and was there all the time. */
export function eventOfReturn(after: SandboxRecord, now: number): NewLifecycleEvent {
  return eventOf('updated', after, now, 'recovered');
}

/** A copy of its state was kept, as a snapshot (then with its id) or for forks. */
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
