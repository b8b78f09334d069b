import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox, SandboxNotFoundError } from 'e2b';
import { awaitServer, countRetry, exists, findInfo, runCommand } from './cycle-context.ts';
import type { CycleContext, Told } from './cycle-context.ts';
import { untilAnswered } from './patience.ts';
import type { Random } from './random.ts';
import { runSleepCycle } from './sleep-cycle.ts';

const longTimeoutMs = 1_800_000;
/** Of a sandbox that the client has not heard of yet: one whose create was cut off must not stay to the end of the run. */
const untoldTimeoutMs = 180_000;
/** Kept sandboxes stay until the end of the run. */
const keepShare = 0.06;
const expireShare = 0.12;
const sleepShare = 0.45;
/** A deadline is kept within a second while the server is up, but the server may have been down. */
const lateMs = 15_000;

/**
 * One sandbox from create to its randomly chosen end. False if the create was interrupted: the client got no sandbox,
 * so nothing is promised.
 */
export async function runCycle(context: CycleContext): Promise<boolean> {
  const { random, counts, violations } = context;
  const fate = chooseFate(random);
  const timeoutMs = fate === 'expire' ? Math.round(random.between(3000, 6000)) : untoldTimeoutMs;
  const created = await createTold(context, timeoutMs);
  if (created === undefined) return false;
  const { sandbox } = created;
  const complain = (text: string): void => {
    violations.push(`${sandbox.sandboxId} (${fate}): ${text}`);
  };

  const told = fate === 'expire' ? created : await prolong(context, created);
  if (told === undefined) {
    complain('gone before its deadline could be moved');
    return true;
  }
  const output = await runCommand(context, told);
  if (output !== 'fine' && !(fate === 'expire' && Date.now() >= told.endAtMs - 200)) complain(output);
  if (fate === 'sleep') {
    try {
      await runSleepCycle(context, told, complain);
    } catch (error) {
      if (!(error instanceof SandboxNotFoundError)) throw error;
      complain(`is gone: ${error.message}`);
    }
    counts.slept++;
  }
  if (fate === 'keep') {
    context.kept.push(told);
    counts.kept++;
  } else if (fate === 'expire') {
    await awaitExpiry(context, told, complain);
    counts.expired++;
  } else {
    await untilAnswered(async () => await sandbox.kill(), countRetry(counts));
    if (await exists(context, sandbox.sandboxId)) complain('still there after its kill was answered');
    counts.killed++;
  }
  return true;
}

type Fate = 'keep' | 'expire' | 'sleep' | 'kill';

function chooseFate(random: Random): Fate {
  if (random.chance(keepShare)) return 'keep';
  if (random.chance(expireShare)) return 'expire';
  return random.chance(sleepShare) ? 'sleep' : 'kill';
}

async function createTold(context: CycleContext, timeoutMs: number): Promise<Told | undefined> {
  const startedAt = Date.now();
  let sandbox: Sandbox;
  try {
    sandbox = await Sandbox.create({ timeoutMs });
  } catch {
    context.counts.createsCutOff++;
    await untilAnswered(awaitServer, () => undefined);
    return undefined;
  }
  const { sandboxId } = sandbox;
  const token = (sandbox as unknown as { envdAccessToken?: string }).envdAccessToken ?? '';
  const info = await findInfo(context, sandboxId);
  if (info !== undefined) return { sandbox, token, endAtMs: info.endAt.getTime() };
  // On a busy host, a server can take longer to start than a short deadline.
  if (Date.now() - startedAt >= timeoutMs) context.counts.expired++;
  else context.violations.push(`${sandboxId}: the create was answered, then nobody knew it`);
  return undefined;
}

/** Undefined if the sandbox is gone. */
async function prolong(context: CycleContext, told: Told): Promise<Told | undefined> {
  const { sandbox } = told;
  await untilAnswered(async () => {
    try {
      await sandbox.setTimeout(longTimeoutMs);
    } catch (error) {
      // Whether it is gone, the next call says.
      if (!(error instanceof SandboxNotFoundError)) throw error;
    }
  }, countRetry(context.counts));
  const info = await findInfo(context, sandbox.sandboxId);
  return info === undefined ? undefined : { ...told, endAtMs: info.endAt.getTime() };
}

async function awaitExpiry(context: CycleContext, told: Told, complain: (text: string) => void): Promise<void> {
  const { sandboxId } = told.sandbox;
  await sleep(Math.max(0, told.endAtMs - 600 - Date.now()));
  const early = await exists(context, sandboxId);
  if (!early && Date.now() < told.endAtMs - 100) complain('ended before its deadline');
  await sleep(Math.max(0, told.endAtMs + 1200 - Date.now()));
  while (await exists(context, sandboxId)) {
    if (Date.now() > told.endAtMs + lateMs) {
      complain(`still there ${lateMs / 1000} s after its deadline`);
      return;
    }
    await sleep(200);
  }
}
