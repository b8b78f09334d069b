import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunnerEvent, RunnerProcess } from '@soulbox/testing';
import type { Operation, Subject } from './operations.ts';
import { askWitness } from './witness.ts';

/** The known facts about an operation, interrupted or not. */
export interface Round {
  readonly subject: Subject;
  /** Its caller got a response. */
  readonly isDone: boolean;
  /** The events that the runner sent to the control plane meanwhile. */
  readonly events: readonly RunnerEvent[];
}

interface Shown {
  readonly sandboxId: string;
  readonly state: string;
}

/** The part of a record that this reads. */
interface Recorded {
  readonly sandboxId: string;
  readonly state: string;
}

const paused = 'SANDBOX_STATE_PAUSED';

/** Describes the faults that the next runner shows after a round. Empty if everything is correct. */
export async function checkModel(
  runner: RunnerProcess,
  directory: string,
  operation: Operation,
  round: Round,
): Promise<string[]> {
  const sandboxes = await listSandboxes(runner);
  return [
    ...(await findHidden(runner, directory, sandboxes)),
    ...findBrokenWords(round, operation, sandboxes),
    ...(await checkContents(runner, operation, round, sandboxes)),
    ...(await checkSnapshots(runner, operation, round)),
  ];
}

/** Ends everything except the running sandbox that is kept for the next round. Spares too: a create would take one. */
export async function clearAway(runner: RunnerProcess, templateId: string, kept: string | undefined): Promise<void> {
  for (let ready = await countSpares(runner); ready > 0; ready--) {
    const request = { teamId: 't', templateId, timeoutSeconds: 3600, secure: false };
    await runner.call('createSandbox', request);
  }
  for (const { sandboxId } of await listSandboxes(runner))
    if (sandboxId !== kept) await runner.call('killSandbox', { sandboxId });
  for (const snapshotId of await listSnapshots(runner)) await runner.call('deleteSnapshot', { snapshotId });
}

/**
 * Records on disk that no list shows. Each belongs to a tenant, except for a spare on its shelf: a create that was
 * interrupted before its sandbox had a tenant leaves one.
 */
async function findHidden(runner: RunnerProcess, directory: string, sandboxes: readonly Shown[]): Promise<string[]> {
  const folder = join(directory, 'sandboxes');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.json'));
  const records = await Promise.all(
    names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8')) as Recorded),
  );
  const shown = new Set(sandboxes.map(({ sandboxId }) => sandboxId));
  const unshown = records.filter(({ sandboxId }) => !shown.has(sandboxId));
  const [spares, hidden] = [unshown.filter(isSpare), unshown.filter((record) => !isSpare(record))];
  const ready = await countSpares(runner);
  return [
    ...hidden.map(({ sandboxId, state }) => `${sandboxId} is hidden (${state})`),
    ...(spares.length === ready ? [] : [`${spares.length} spares are recorded, and ${ready} are known`]),
  ];
}

async function countSpares(runner: RunnerProcess): Promise<number> {
  return Number((await runner.call('getPool', {}))['ready'] ?? 0);
}

function isSpare({ state }: Recorded): boolean {
  return state === 'warm';
}

/** Everything that was reported must be true: responses to callers and events to the control plane. */
function findBrokenWords(
  { subject, isDone, events }: Round,
  operation: Operation,
  sandboxes: readonly Shown[],
): string[] {
  const find = (sandboxId: string): Shown | undefined => sandboxes.find((sandbox) => sandbox.sandboxId === sandboxId);
  const present = find(subject.sandboxId) !== undefined;
  const ended = new Set(events.flatMap((event) => (event.ended === undefined ? [] : [event.ended.sandboxId])));
  const lastState = events.flatMap((event) => (event.updated === undefined ? [] : [event.updated.sandbox])).at(-1);
  return [
    ...(present || operation.ends ? [] : ['the sandbox is gone']),
    ...(present && operation.ends && isDone ? ['its kill was answered, and it is there'] : []),
    ...(operation.makesFresh && isDone && sandboxes.length < 2 ? ['its create was answered, and it is not there'] : []),
    ...sandboxes
      .filter(({ sandboxId }) => ended.has(sandboxId))
      .map(({ sandboxId }) => `${sandboxId} was told to have ended`),
    ...(lastState?.state === paused && find(lastState.sandboxId)?.state !== paused && !operation.resumes
      ? ['it was told to be paused, and is not']
      : []),
  ];
}

/** Every sandbox can be brought to run, and its witness is consistent. */
async function checkContents(
  runner: RunnerProcess,
  operation: Operation,
  { subject }: Round,
  sandboxes: readonly Shown[],
): Promise<string[]> {
  const complaints = await Promise.all(
    sandboxes.map(async ({ sandboxId }) => {
      const name = sandboxId === subject.sandboxId ? 'the sandbox' : `the copy ${sandboxId}`;
      const mayBeFresh = sandboxId === subject.sandboxId ? operation.startsAfresh : operation.makesFresh;
      return (await checkContent(runner, sandboxId, mayBeFresh)).map((text) => `${name}: ${text}`);
    }),
  );
  return complaints.flat();
}

async function checkContent(runner: RunnerProcess, sandboxId: string, mayBeFresh: boolean): Promise<string[]> {
  try {
    await runner.call('resumeSandbox', { sandboxId, timeoutSeconds: 3600, withMemory: true });
    const testimony = await askWitness(runner, sandboxId);
    if (testimony === 'agrees' || (testimony === 'fresh' && mayBeFresh)) return [];
    return [testimony === 'fresh' ? 'its memory is gone' : testimony.complaint];
  } catch (error) {
    return [`cannot be had running: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/** A listed snapshot can be used, and a snapshot that was reported to its caller is listed. */
async function checkSnapshots(
  runner: RunnerProcess,
  { name }: Operation,
  { subject, isDone }: Round,
): Promise<string[]> {
  const snapshots = await listSnapshots(runner);
  const wanted = name.startsWith('snapshot') && isDone && !snapshots.includes(subject.snapshotId);
  const complaints = wanted ? ['the snapshot was told of, and is gone'] : [];
  for (const snapshotId of snapshots) {
    try {
      const request = { teamId: 't', templateId: 'x', snapshotId, timeoutSeconds: 3600 };
      const { sandboxId } = (await runner.call('createSandbox', request))['sandbox'] as Shown;
      complaints.push(...(await checkContent(runner, sandboxId, false)).map((text) => `the snapshot: ${text}`));
    } catch (error) {
      complaints.push(`the snapshot cannot be used: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return complaints;
}

async function listSandboxes(runner: RunnerProcess): Promise<readonly Shown[]> {
  return ((await runner.call('listSandboxes', {}))['sandboxes'] ?? []) as Shown[];
}

async function listSnapshots(runner: RunnerProcess): Promise<readonly string[]> {
  const { snapshots = [] } = (await runner.call('listSnapshots', {})) as { snapshots?: { snapshotId: string }[] };
  return snapshots.map(({ snapshotId }) => snapshotId);
}
