import { Sandbox } from 'e2b';
import type { CycleContext } from '../chaos/cycle-context.ts';
import { exists } from '../chaos/cycle-context.ts';
import { runSleepCycle } from '../chaos/sleep-cycle.ts';
import { findDifferences, writeContent } from './content.ts';
import type { Content } from './content.ts';

const timeoutMs = 600_000;

/**
 * Takes sandboxes through their lives until it is stopped. Compares their content and that of their copies with the
 * written content.
 */
export async function keepOperating(context: CycleContext, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      await operateOnce(context);
      context.counts.cycles++;
    } catch (error) {
      // Nobody kills this server, so a failed operation is a broken promise.
      context.violations.push(`an operation failed: ${error instanceof Error ? error.message : String(error)}`);
      if (context.violations.length > 50) return;
    }
  }
}

async function operateOnce(context: CycleContext): Promise<void> {
  const sandbox = await Sandbox.create({ timeoutMs });
  const { sandboxId } = sandbox;
  const complain = (text: string): void => void context.violations.push(`${sandboxId}: ${text}`);
  const content = await writeContent(sandbox, context.random);

  await runSleepCycle(context, { sandbox, token: '', endAtMs: 0 }, complain);
  await expectContent('after it slept or was copied', sandbox, content, complain);
  if (context.random.chance(0.5)) await checkFork(sandbox, content, complain);
  else await checkSnapshot(sandbox, content, complain);
  await sandbox.pause();
  await Sandbox.connect(sandboxId, { timeoutMs });
  await expectContent('after a pause', sandbox, content, complain);

  await sandbox.kill();
  context.counts.killed++;
  if (await exists(context, sandboxId)) complain('still there after its kill was answered');
}

type Complain = (text: string) => void;

async function checkFork(sandbox: Sandbox, content: Content, complain: Complain): Promise<void> {
  for (const copy of await sandbox.fork({ count: 2, timeoutMs })) {
    if (!(copy instanceof Sandbox)) complain(`a copy could not be made: ${copy.message}`);
    else {
      await expectContent(`in its fork ${copy.sandboxId}`, copy, content, complain);
      await copy.kill();
    }
  }
}

async function checkSnapshot(sandbox: Sandbox, content: Content, complain: Complain): Promise<void> {
  const { snapshotId } = await sandbox.createSnapshot();
  const copy = await Sandbox.create(snapshotId, { timeoutMs });
  await expectContent(`in ${copy.sandboxId} of its snapshot`, copy, content, complain);
  await copy.kill();
  await Sandbox.deleteSnapshot(snapshotId);
}

async function expectContent(where: string, sandbox: Sandbox, content: Content, complain: Complain): Promise<void> {
  for (const difference of await findDifferences(sandbox, content)) complain(`${where}: ${difference}`);
}
