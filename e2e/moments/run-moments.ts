import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import { removeTree } from '@soulbox/base';
import type { Isolation } from '@soulbox/contract';
import { startServer } from '@soulbox/testing';
import type { Random } from '../chaos/random.ts';
import { createRandom } from '../chaos/random.ts';
import { bodyOf, ends, listRoutes } from './routes.ts';
import type { Route } from './routes.ts';
import { transitions } from './transitions.ts';
import type { Transition } from './transitions.ts';

export interface MomentsOptions {
  readonly instance: number;
  readonly isolation: Isolation;
  /** Moments for each pair of a transition and a route. */
  readonly moments: number;
  /** Total number of cases, chosen by the seed. Infinity: all. */
  readonly cases: number;
  readonly lanes: number;
  readonly seed: number;
  readonly onProgress: (text: string) => void;
}

export interface MomentsReport {
  readonly cases: number;
  readonly violations: readonly string[];
  /** The number of responses by status. */
  readonly statuses: Readonly<Record<string, number>>;
}

/** A call of one route at one moment of one transition. */
interface Case {
  readonly transition: Transition;
  readonly route: Route;
  /** 0: at its beginning, 1: at its usual end. */
  readonly moment: number;
}

/**
 * Calls every route of the API at moments of every transition of a sandbox. Then checks that the sandbox is in the
 * requested state.
 */
export async function runMoments(options: MomentsOptions): Promise<MomentsReport> {
  const server = await startServer({
    instance: options.instance,
    environment: { SOULBOX_ISOLATION: options.isolation, SOULBOX_TEAM_SANDBOX_LIMIT: '1000' },
  });
  Object.assign(process.env, server.clientEnvironment);
  const random = createRandom(options.seed);
  const statuses: Record<string, number> = {};
  const violations: string[] = [];
  try {
    const chosen = choose(
      await listCases(server.clientEnvironment['E2B_API_URL'] ?? '', options.moments, random),
      options.cases,
      random,
    );
    const durations = await measure();
    let done = 0;
    const lane = async (): Promise<void> => {
      for (let next = chosen.pop(); next !== undefined; next = chosen.pop()) {
        const { transition, route, moment } = next;
        const delayMs = Math.round((durations.get(transition.name) ?? 0) * moment);
        const name = `${route.method} ${route.path} ${delayMs} ms into ${transition.name}`;
        const complaints = await tryCase(next, delayMs, statuses).catch((error: unknown) => [String(error)]);
        violations.push(...complaints.map((text) => `${name}: ${text}`));
        for (const text of complaints) options.onProgress(`VIOLATION ${name}: ${text}`);
        if (++done % 50 === 0) options.onProgress(`${done} cases`);
      }
    };
    const count = chosen.length;
    await Promise.all(Array.from({ length: options.lanes }, lane));
    return { cases: count, violations, statuses };
  } finally {
    await server.stop();
    // The log of a failure is kept.
    if (violations.length === 0) await removeTree(server.dataDirectory);
  }
}

async function listCases(apiUrl: string, moments: number, random: Random): Promise<Case[]> {
  const routes = await listRoutes(apiUrl);
  return transitions.flatMap((transition) =>
    routes.flatMap((route) =>
      Array.from({ length: moments }, (_, index) => ({
        ...{ transition, route },
        moment: (index + random.between(0, 1)) * (1.1 / moments),
      })),
    ),
  );
}

function choose(all: Case[], count: number, random: Random): Case[] {
  const shuffled = all.map((one) => ({ one, order: random.between(0, 1) })).sort((a, b) => a.order - b.order);
  return shuffled.slice(0, Math.min(count, all.length)).map(({ one }) => one);
}

/** The duration of each undisturbed transition. */
async function measure(): Promise<Map<string, number>> {
  const durations = new Map<string, number>();
  for (const transition of transitions) {
    const sandbox = await Sandbox.create({ timeoutMs: 600_000 });
    await transition.prepare(sandbox);
    const startedAt = performance.now();
    await transition.act(sandbox);
    durations.set(transition.name, performance.now() - startedAt);
    await sandbox.kill();
  }
  return durations;
}

async function tryCase(
  { transition, route }: Case,
  delayMs: number,
  statuses: Record<string, number>,
): Promise<string[]> {
  const sandbox = await Sandbox.create({ timeoutMs: 600_000 });
  // A marker for the original memory and processes.
  const { stdout: pid } = await sandbox.commands.run(
    'setsid sh -c "echo \\$\\$ > /tmp/pid; exec sleep 100000" > /dev/null 2>&1 & for n in 1 2 3 4 5 6 7 8 9; do [ -s /tmp/pid ] && break; sleep 0.1; done; cat /tmp/pid',
  );
  const snapshotId = route.path.includes('{snapshotID}') ? (await sandbox.createSnapshot()).snapshotId : '';
  await transition.prepare(sandbox);
  const acting = transition.act(sandbox).then(
    () => true,
    () => false,
  );
  await sleep(delayMs);
  const status = await call(route, sandbox.sandboxId, snapshotId);
  statuses[status] = (statuses[status] ?? 0) + 1;
  const acted = await acting;
  const mayEnd = transition.ends || ends(route);
  const mustEnd = (transition.ends && acted) || (ends(route) && status === 204);
  const complaints = await judge(sandbox.sandboxId, pid.trim(), { mayEnd, mustEnd });
  // Unsupported features return 501 at any moment. A step that is impossible right now returns 503.
  if (status >= 500 && status !== 503 && status !== 501) complaints.push(`answered ${status}`);
  await clear(sandbox.sandboxId);
  return complaints;
}

async function call({ method, path }: Route, sandboxId: string, snapshotId: string): Promise<number> {
  const filled = path.replace('{sandboxID}', sandboxId).replace('{snapshotID}', snapshotId).replace('{teamID}', 'none');
  const query = path === '/sandboxes/metrics' ? `?sandbox_ids=${sandboxId}` : '';
  const body = bodyOf({ method, path });
  const response = await fetch(`${process.env['E2B_API_URL'] ?? ''}${filled}${query}`, {
    method,
    headers: {
      'X-API-Key': process.env['E2B_API_KEY'] ?? '',
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  await response.arrayBuffer();
  return response.status;
}

/** Reachable, paused, or ended on request. */
async function judge(
  sandboxId: string,
  pid: string,
  { mayEnd, mustEnd }: { mayEnd: boolean; mustEnd: boolean },
): Promise<string[]> {
  const isThere = (await call({ method: 'GET', path: '/sandboxes/{sandboxID}' }, sandboxId, '')) === 200;
  if (!isThere) return mayEnd ? await judgeEnd(sandboxId) : ['it is gone', ...(await judgeEnd(sandboxId))];
  if (mustEnd) return ['its end was answered, and it is there'];
  const again = await Sandbox.connect(sandboxId, { timeoutMs: 600_000 });
  const { stdout } = await again.commands.run(`kill -0 ${pid} && echo on || echo off`);
  return stdout.trim() === 'on' ? [] : ['its memory is gone'];
}

async function judgeEnd(sandboxId: string): Promise<string[]> {
  const url = `${process.env['E2B_API_URL'] ?? ''}/events/sandboxes/${sandboxId}?limit=100`;
  const response = await fetch(url, { headers: { 'X-API-Key': process.env['E2B_API_KEY'] ?? '' } });
  const events = (await response.json()) as { type: string; eventData: { cause: string } }[];
  // The event of a snapshot may come afterwards.
  const end = events.find(({ type }) => type === 'sandbox.lifecycle.killed');
  return end?.eventData.cause === 'killed' ? [] : [`its end was told as ${end?.eventData.cause ?? 'nothing'}`];
}

/** Copies end by themselves. */
async function clear(sandboxId: string): Promise<void> {
  await Sandbox.kill(sandboxId);
  const page = await Sandbox.listSnapshots({ sandboxId, limit: 100 }).nextItems();
  for (const { snapshotId } of page) await Sandbox.deleteSnapshot(snapshotId);
}
