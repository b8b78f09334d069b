import { setTimeout as sleep } from 'node:timers/promises';
import { sleepUnlessAborted } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { Records } from '@soulbox/storage';
import type { TeamLog, TeamLogs } from './team-logs.ts';
import type { Deed } from './deed.ts';
import type { Witnessing } from './witnessing.ts';
import type { Trail } from './trail.ts';

/** At most one checkpoint of a log in this time. Milliseconds. */
const everyMs = 1000;
/** A log without other records gets one in this time, so that silence can be told from missing records. */
const silentMs = 60 * 60 * 1000;
/** A log that cannot be written is not tried again for this time. */
const brokenMs = 30_000;
/** A log with less room than this share is reported, at most once in `silentMs`: a full one refuses actions. */
const warnShare = 0.2;
/** How long the last step may take when the server stops. The records are committed; the next start continues. */
const lastStepMs = 5000;

export interface SequenceOptions {
  readonly records: Records;
  readonly logs: TeamLogs;
  readonly trail: Trail;
  readonly witnessing: Witnessing;
  /** Limit of the records of a team. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Moves committed records into the logs of their teams and publishes checkpoints, until the server stops. */
export async function sequenceUntilStop(options: SequenceOptions, stopping: AbortSignal): Promise<void> {
  const state: States = new Map();
  while (!stopping.aborted) {
    await options.trail.flushUses();
    await pass(options, state);
    await sleepUnlessAborted(everyMs, stopping).catch(() => undefined);
  }
  await Promise.race([finish(options, state), sleep(lastStepMs, undefined, { ref: false })]);
}

async function finish(options: SequenceOptions, states: States): Promise<void> {
  await options.trail.flushUses(true);
  await pass(options, states);
}

interface State {
  publishedAt: number;
  brokenUntil: number;
  warnedAt: number;
}
type States = Map<string, State>;

async function pass(options: SequenceOptions, states: States): Promise<void> {
  const { records, logs, trail, witnessing, maxBytes, clock, logger } = options;
  for (const { teamId, next, bytes } of await records.audit.listHeads()) {
    const now = clock.now();
    const state = states.get(teamId) ?? { publishedAt: now, brokenUntil: 0, warnedAt: -silentMs };
    states.set(teamId, state);
    if (bytes > maxBytes * (1 - warnShare) && now - state.warnedAt >= silentMs) {
      state.warnedAt = now;
      logger.warn({ team: teamId, bytes, maxBytes }, 'the audit log of a team is almost full');
    }
    if (state.brokenUntil > now) continue;
    try {
      const team = await openAndTell(logs, trail, teamId);
      const isSilent = team.log.checkpoint.size >= next && now - state.publishedAt >= silentMs;
      if (isSilent) await trail.tell(ownDeed(teamId, 'audit.heartbeat'), 'event');
      while ((await team.sequencer.step()) > 0) state.publishedAt = now;
      await witnessing.follow(teamId, team.log);
    } catch (err) {
      state.brokenUntil = now + brokenMs;
      logger.error({ err, team: teamId }, 'the audit log of a team cannot be written');
    }
  }
}

const told = new WeakSet<TeamLog>();

/** A log that did not match the records says so in its own next record. */
async function openAndTell(logs: TeamLogs, trail: Trail, teamId: string): Promise<TeamLog> {
  const team = await logs.open(teamId);
  if (team.found === undefined || told.has(team)) return team;
  told.add(team);
  const { what, before } = team.found;
  const facts = { previousOrigin: before.origin, previousSize: before.next };
  await trail.tell({ ...ownDeed(teamId, `audit.${what}`), facts }, 'event');
  return team;
}

function ownDeed(teamId: string, action: string): Deed {
  return {
    ...{ teamId, action, class: 'security', scope: 'server', rule: 'server' },
    actor: { kind: 'server', id: 'control' },
    target: { kind: 'log', id: '' },
  };
}
