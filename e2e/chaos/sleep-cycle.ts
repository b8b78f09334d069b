import { Sandbox, SandboxNotFoundError } from 'e2b';
import type { CycleContext, Told } from './cycle-context.ts';
import { awaitServer, countRetry, findInfo } from './cycle-context.ts';
import { recall, remember } from './memory.ts';
import { untilAnswered } from './patience.ts';

const timeoutMs = 1_800_000;
/**
 * Lifetime of copies, so that a copy that nobody knows ends by itself. On a busy host a copy is used a minute after its
 * creation.
 */
const copyTimeoutMs = 180_000;
/** A fork usually takes longer than the server lives. */
const attempts = 6;

/**
 * Pauses, resumes and copies one sandbox whose memory holds a word. Whatever is killed meanwhile: every reported
 * sandbox and every copy must exist afterwards, with its memory.
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

/** Also after an interrupted step, when the sandbox may be paused. A running sandbox is left unchanged. */
async function wake(context: CycleContext, sandbox: Sandbox): Promise<void> {
  await untilAnswered(async () => await Sandbox.connect(sandbox.sandboxId, { timeoutMs }), countRetry(context.counts));
}

async function forkIt(context: CycleContext, sandbox: Sandbox, word: string, complain: Complain): Promise<void> {
  const count = Math.round(context.random.between(1, 3));
  const copies = await tryAgain(context, async () => await sandbox.fork({ count, timeoutMs: copyTimeoutMs }));
  await wake(context, sandbox);
  for (const copy of copies ?? []) {
    if (copy instanceof Sandbox) context.counts.forks++;
    else context.counts.copiesFailed++;
    if (!(copy instanceof Sandbox)) continue;
    await expectWord(context, copy, word, (text) => {
      complain(`its copy ${copy.sandboxId}: ${text}`);
    });
    await untilAnswered(async () => await copy.kill(), countRetry(context.counts));
  }
}

async function snapshotIt(context: CycleContext, sandbox: Sandbox, word: string, complain: Complain): Promise<void> {
  const snapshot = await tryAgain(context, async () => await sandbox.createSnapshot());
  await wake(context, sandbox);
  if (snapshot === undefined) return;
  context.counts.snapshots++;
  const create = async (): Promise<Sandbox> => await Sandbox.create(snapshot.snapshotId, { timeoutMs: copyTimeoutMs });
  const copy = await tryAgain(context, create);
  if (copy !== undefined) {
    context.counts.copies++;
    await expectWord(context, copy, word, (text) => {
      complain(`its copy ${copy.sandboxId} from ${snapshot.snapshotId}: ${text}`);
    });
    await untilAnswered(async () => await copy.kill(), countRetry(context.counts));
  }
  await untilAnswered(async () => await Sandbox.deleteSnapshot(snapshot.snapshotId), countRetry(context.counts));
}

/**
 * For calls that create something each time. If a call is interrupted, its result belongs to nobody and nothing was
 * promised. Undefined if every call was interrupted.
 */
async function tryAgain<T>(context: CycleContext, act: () => Promise<T>): Promise<T | undefined> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    await untilAnswered(awaitServer, () => undefined);
    try {
      return await act();
    } catch (error) {
      if (error instanceof SandboxNotFoundError) throw error;
      context.counts.createsCutOff++;
    }
  }
  return undefined;
}

async function expectWord(context: CycleContext, sandbox: Sandbox, word: string, complain: Complain): Promise<void> {
  const said = await recall(context, sandbox);
  if (said === undefined) complain('is gone');
  else if (said !== word) complain(`its memory says ${JSON.stringify(said)} instead of what it was told`);
}
