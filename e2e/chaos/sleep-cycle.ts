import { Sandbox } from 'e2b';
import type { CycleContext, Told } from './cycle.ts';
import { countRetry, findInfo } from './cycle.ts';
import { recall, remember } from './memory.ts';
import { untilAnswered } from './patience.ts';

const timeoutMs = 1_800_000;

/**
 * Sleep, wake and copies of one sandbox whose memory holds a word. Whatever is killed meanwhile: a sandbox that somebody was
 * told of is there afterwards, with its memory, and so is every copy.
 */
export async function runSleepCycle(context: CycleContext, told: Told, complain: Complain): Promise<void> {
  const word = Math.floor(context.random.between(0, 2 ** 31)).toString(36);
  if (!(await remember(context, told.sandbox, word))) {
    complain('gone before it could remember anything');
    return;
  }
  const rounds = Math.round(context.random.between(1, 3));
  for (let round = 0; round < rounds; round++) {
    if (context.random.chance(0.5)) await sleepAndWake(context, told.sandbox, complain);
    else if (context.random.chance(0.5)) await forkIt(context, told.sandbox, word, complain);
    else await snapshotIt(context, told.sandbox, word, complain);
    await expectWord(context, told.sandbox, word, complain);
  }
}

type Complain = (text: string) => void;

async function sleepAndWake(context: CycleContext, sandbox: Sandbox, complain: Complain): Promise<void> {
  await untilAnswered(async () => await sandbox.pause(), countRetry(context.counts));
  context.counts.pauses++;
  const info = await findInfo(context, sandbox.sandboxId);
  if (info?.state !== 'paused') complain(`its pause was answered, then it was ${info?.state ?? 'gone'}`);
  await wake(context, sandbox);
}

/** Also after a step that was cut off: then the sandbox may be asleep. A running one is left alone. */
async function wake(context: CycleContext, sandbox: Sandbox): Promise<void> {
  await untilAnswered(async () => await Sandbox.connect(sandbox.sandboxId, { timeoutMs }), countRetry(context.counts));
}

async function forkIt(context: CycleContext, sandbox: Sandbox, word: string, complain: Complain): Promise<void> {
  const count = Math.round(context.random.between(1, 3));
  const copies = await tryOnce(context, async () => await sandbox.fork({ count, timeoutMs }));
  await wake(context, sandbox);
  for (const copy of copies ?? []) {
    if (!(copy instanceof Sandbox)) continue;
    context.counts.forks++;
    await expectWord(context, copy, word, (text) => {
      complain(`its copy ${copy.sandboxId}: ${text}`);
    });
    await untilAnswered(async () => await copy.kill(), countRetry(context.counts));
  }
}

async function snapshotIt(context: CycleContext, sandbox: Sandbox, word: string, complain: Complain): Promise<void> {
  const snapshot = await tryOnce(context, async () => await sandbox.createSnapshot());
  await wake(context, sandbox);
  if (snapshot === undefined) return;
  context.counts.snapshots++;
  const copy = await tryOnce(context, async () => await Sandbox.create(snapshot.snapshotId, { timeoutMs }));
  if (copy !== undefined) {
    await expectWord(context, copy, word, (text) => {
      complain(`its copy ${copy.sandboxId} from ${snapshot.snapshotId}: ${text}`);
    });
    await untilAnswered(async () => await copy.kill(), countRetry(context.counts));
  }
  await untilAnswered(async () => await Sandbox.deleteSnapshot(snapshot.snapshotId), countRetry(context.counts));
}

/** Undefined when it was cut off: then nothing was promised. Never made again, for that could make two. */
async function tryOnce<T>(context: CycleContext, act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await act();
  } catch {
    context.counts.createsCutOff++;
    return undefined;
  }
}

async function expectWord(context: CycleContext, sandbox: Sandbox, word: string, complain: Complain): Promise<void> {
  const said = await recall(context, sandbox);
  if (said === undefined) complain('is gone');
  else if (said !== word) complain(`its memory says ${JSON.stringify(said)} instead of ${word}`);
}
