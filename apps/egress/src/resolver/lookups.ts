import type { AskUpstream } from './upstream.ts';
import { failedResolution, resolutionFrom } from './resolution.ts';
import type { Resolution } from './resolution.ts';

/** Maximum answers that are kept for one team, and teams for which any are kept. */
const answersPerTeamMax = 1000;
const teamsMax = 500;
/** Answers with more records are not kept. */
const recordsMax = 16;
/** Questions to the name servers at a time, of one team and together. Each has a socket, and may wait for seconds. */
const outstandingPerTeamMax = 128;
const outstandingMax = 1024;

/** Looks names up. Answers are kept per team, so that no team can learn or choose what another one gets. */
export interface Lookups extends Disposable {
  /** Never rejects. Identical questions of one team at the same time are asked once. */
  find(teamId: string, name: string, type: string): Promise<Resolution>;
}

interface Kept {
  readonly resolution: Resolution;
  readonly validUntil: number;
}

export function createLookups(options: {
  readonly ask: AskUpstream;
  readonly isOpen: (address: string) => boolean;
  readonly now?: () => number;
}): Lookups {
  const { ask, isOpen, now = performance.now.bind(performance) } = options;
  const teams = new Map<string, Map<string, Kept>>();
  const outstanding = new Map<string, Promise<Resolution>>();
  const outstandingOf = new Map<string, number>();
  const stop = new AbortController();

  const keep = (teamId: string, key: string, resolution: Resolution): void => {
    if (resolution.answers.length > recordsMax) return;
    const team = teams.get(teamId) ?? new Map<string, Kept>();
    teams.delete(teamId);
    teams.set(teamId, team);
    team.delete(key);
    team.set(key, { resolution, validUntil: now() + resolution.ttlSeconds * 1000 });
    forgetOldest(team, answersPerTeamMax);
    forgetOldest(teams, teamsMax);
  };
  const count = (teamId: string, difference: 1 | -1): void => {
    const next = (outstandingOf.get(teamId) ?? 0) + difference;
    if (next > 0) outstandingOf.set(teamId, next);
    else outstandingOf.delete(teamId);
  };
  const findUpstream = async (teamId: string, key: string, name: string, type: string): Promise<Resolution> => {
    try {
      const resolution = resolutionFrom(await ask(name, type, stop.signal), name, type, isOpen);
      keep(teamId, key, resolution);
      return resolution;
    } catch {
      return failedResolution;
    } finally {
      outstanding.delete(`${teamId}\n${key}`);
      count(teamId, -1);
    }
  };
  return {
    async find(teamId, name, type) {
      const key = `${type}\n${name}`;
      const kept = teams.get(teamId)?.get(key);
      if (kept !== undefined && kept.validUntil > now()) return kept.resolution;
      const running = outstanding.get(`${teamId}\n${key}`);
      if (running !== undefined) return await running;
      const isFull = outstanding.size >= outstandingMax || (outstandingOf.get(teamId) ?? 0) >= outstandingPerTeamMax;
      if (isFull || stop.signal.aborted) return failedResolution;
      count(teamId, 1);
      const started = findUpstream(teamId, key, name, type);
      outstanding.set(`${teamId}\n${key}`, started);
      return await started;
    },
    [Symbol.dispose]: () => stop.abort(),
  };
}

function forgetOldest(map: Map<string, unknown>, max: number): void {
  if (map.size <= max) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
