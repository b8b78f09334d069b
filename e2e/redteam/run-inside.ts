import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import type { ControlPlace, InsideAttempt, Result } from './attempt.ts';
import { hostPython } from './host-witness.ts';
import { batchTimeoutMs, orderText, parseOutcomes, program, runBatch } from './run-batch.ts';
import type { Outcome } from './run-batch.ts';
import type { World } from './world.ts';

/** Errors of a kernel that does not have a thing, or does not allow it. */
const usualRefusals: ReadonlySet<string> = new Set([
  ...['EPERM', 'EACCES', 'ENOSYS', 'EROFS', 'ENOENT', 'ENODEV', 'ENXIO'],
  ...['EAFNOSUPPORT', 'EPROTONOSUPPORT', 'ESOCKTNOSUPPORT', 'ECONNREFUSED'],
]);

/**
 * Runs the attempts as the user and as root of a sandbox of their own, and each control. With a kernel of its own, root
 * may well ruin the sandbox.
 */
export async function runInside(world: World, attempts: readonly InsideAttempt[]): Promise<Result[]> {
  const controls = await runControls(world, attempts);
  // From here on, only sandboxes can be heard.
  await world.outside.forget();
  return await world.withSandbox(async (sandbox) => {
    const results: Result[] = [];
    for (const by of ['user', 'root'] as const) {
      const mine = attempts.filter((attempt) => attempt.by.includes(by));
      const outcomes = await runBatch(world, sandbox, mine, { user: by });
      for (const attempt of mine) results.push(judge(world, attempt, by, outcomes, controls));
    }
    return results;
  });
}

export function judge(
  world: World,
  attempt: InsideAttempt,
  by: 'user' | 'root',
  outcomes: ReadonlyMap<string, Outcome>,
  controls: ReadonlyMap<string, Outcome>,
): Result {
  const { name, wall } = attempt;
  const found = outcomes.get(name);
  const result = (verdict: Result['verdict'], evidence: string): Result => ({
    ...{ name, wall, by, verdict, evidence },
    ms: found?.ms ?? 0,
  });
  if (found === undefined) return result('unclear', 'the program did not report');
  const { outcome, detail } = found;
  const words = [world.host.word, world.neighbor.word, world.internet.canary].filter((word) => detail.includes(word));
  if (words.length > 0) return result('breached', `it got a word that it must not know: ${detail}`);
  if (outcome === 'did') {
    const isHarmless = world.target.ownKernel && attempt.harmlessInOwnKernel !== undefined;
    if (!isHarmless) return result('breached', `it succeeded: ${detail}`);
    return result('held', `succeeded in the sandbox's own kernel only: ${attempt.harmlessInOwnKernel}`);
  }
  const isRefusal = usualRefusals.has(detail) || attempt.refusedWith?.includes(detail) === true;
  if (outcome === 'broken' || (outcome === 'error' && !isRefusal)) return result('unclear', detail);
  if (typeof attempt.control !== 'string') return result('held', `${detail}; no control: ${attempt.control.none}`);
  const control = controls.get(name);
  if (control?.outcome === 'did') return result('held', `${detail}; succeeds in place: ${attempt.control}`);
  const why = control === undefined ? 'it did not report' : control.detail;
  return result('unclear', `${detail}; but the control (${attempt.control}) did not succeed: ${why}`);
}

export async function runControls(world: World, attempts: readonly InsideAttempt[]): Promise<Map<string, Outcome>> {
  const at = (place: ControlPlace): readonly InsideAttempt[] => attempts.filter(({ control }) => control === place);
  const [opened, host, neighbor] = await Promise.all([
    runOnHost(world, at('opened'), [
      'unshare',
      '--mount',
      '--net',
      '--ipc',
      '--uts',
      '--cgroup',
      '--pid',
      '--fork',
      '--mount-proc',
    ]),
    runOnHost(world, at('host'), []),
    runBatch(world, world.neighbor.sandbox, at('neighbor'), { user: 'user', isControl: true }),
  ]);
  return new Map([...opened, ...host, ...neighbor]);
}

async function runOnHost(
  world: World,
  attempts: readonly InsideAttempt[],
  [before, ...beforeArgs]: readonly string[],
): Promise<Map<string, Outcome>> {
  if (attempts.length === 0) return new Map();
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-redteam-'));
  try {
    const scratch = join(folder, 'scratch');
    const order = join(folder, 'order.json');
    const script = join(folder, 'batch.py');
    await run('mkdir', [scratch]);
    await writeFile(script, program);
    await writeFile(order, orderText(world, attempts, { scratch, apart: before !== undefined, isControl: true }));
    const command = before === undefined ? [] : [...beforeArgs, hostPython];
    const args = [...command, script, order];
    return parseOutcomes(await run(before ?? hostPython, args, { timeoutMs: batchTimeoutMs }));
  } finally {
    await rm(folder, { recursive: true });
  }
}
