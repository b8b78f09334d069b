import { findProcess } from '@soulbox/base';
import { Breach } from './attempt.ts';
import type { Attempt, InsideAttempt, Result, Scene } from './attempt.ts';
import { runInside } from './run-inside.ts';
import { runPoliced } from './run-policed.ts';
import type { World } from './world.ts';

export interface RedteamOptions {
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/** The time for one scene. */
const sceneTimeoutMs = 300_000;

/** Runs the attempts one after the other. The host and the neighbor are checked after each scene and after all programs. */
export async function runRedteam(
  world: World,
  attempts: readonly Attempt[],
  { onProgress, signal }: RedteamOptions = {},
): Promise<Result[]> {
  const inside = attempts.filter((attempt): attempt is InsideAttempt => attempt.kind === 'inside');
  const scenes = attempts.filter((attempt): attempt is Scene => attempt.kind === 'scene');
  const results: Result[] = [];
  const free = inside.filter(({ policy }) => policy === undefined);
  const policed = inside.filter(({ policy }) => policy !== undefined);
  for (const [programs, runAll, where] of [
    [free, runInside, 'inside'],
    [policed, runPoliced, 'inside with a network policy'],
  ] as const) {
    if (programs.length === 0) continue;
    results.push(...(await runAll(world, programs)));
    onProgress?.(`${programs.length} programs ${where} are done`);
    results.push(...(await checkAfter(world, `all programs ${where} together`)));
  }
  for (const scene of scenes) {
    signal?.throwIfAborted();
    if (world.target.ownKernel && scene.notInOwnKernel !== undefined) continue;
    const found = await runScene(world, scene);
    results.push(...found);
    for (const { name, verdict, ms } of found) onProgress?.(`${verdict}: ${name} (${ms} ms)`);
  }
  return results;
}

/** One result for each of those who try. */
async function runScene(world: World, scene: Scene): Promise<Result[]> {
  const startedAt = performance.now();
  const { verdict, evidence } = await attemptScene(world, scene);
  const harm = await world.findHarm();
  if (findProcess(world.target.pid) === undefined) harm.push('the server has ended');
  const ms = Math.round(performance.now() - startedAt);
  const judged =
    harm.length > 0 ? ({ verdict: 'breached', evidence: harm.join('; ') } as const) : { verdict, evidence };
  return scene.by.map((by) => ({ name: scene.name, wall: scene.wall, by, ...judged, ms }));
}

async function attemptScene(world: World, scene: Scene): Promise<Pick<Result, 'verdict' | 'evidence'>> {
  const overdue = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error(`not done within ${sceneTimeoutMs / 1000} s`)), sceneTimeoutMs).unref();
  });
  try {
    return { verdict: 'held', evidence: await Promise.race([scene.run(world), overdue]) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { verdict: error instanceof Breach ? 'breached' : 'unclear', evidence: text };
  }
}

async function checkAfter(world: World, name: string): Promise<Result[]> {
  const harm = await world.findHarm();
  const heard = (await world.outside.heard()).filter((text) => text.includes(world.host.word));
  if (heard.length > 0) harm.push(`the outside heard ${heard.slice(0, 8).join(', ')}`);
  if (harm.length === 0) return [];
  return [{ name, wall: 'hostView', by: 'root', verdict: 'breached', evidence: harm.join('; '), ms: 0 }];
}
