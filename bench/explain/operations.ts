import { Sandbox } from 'e2b';
import type { Lab } from '../lab.ts';
import { connectionTo } from '../lab.ts';
import { askResident, fillMemory } from '../resident.ts';

/** One operation that can be repeated, with what comes before and after each time, which is not explained. */
export interface ExplainedOperation {
  readonly before?: () => Promise<void>;
  readonly act: () => Promise<void>;
  readonly after?: () => Promise<void>;
}

export const explainedNames = ['boot', 'create', 'pause', 'resume', 'fork'] as const;
export type ExplainedName = (typeof explainedNames)[number];

export const isExplainedName = (name: string): name is ExplainedName => explainedNames.some((known) => known === name);

/** MiB that the sandbox has resident in a pause, a resume and a fork. */
const residentMb = 10;

/** On the server without spares, so that a create does its work then. */
export async function prepareOperation(lab: Lab, name: ExplainedName): Promise<ExplainedOperation> {
  const server = await lab.cold();
  const { sandboxUrl } = connectionTo(server);
  const rest = async (): Promise<void> => await lab.quiet(server);
  if (name === 'boot' || name === 'create') {
    const made: Sandbox[] = [];
    const snapshot = name === 'create' ? await makeSnapshot(lab) : undefined;
    return {
      before: rest,
      act: async () => void made.push(await lab.create(server, snapshot)),
      after: async () => {
        for (const sandbox of made.splice(0)) await sandbox.kill();
      },
    };
  }
  const sandbox = await lab.create(server);
  await fillMemory(sandbox, sandboxUrl, residentMb);
  const resume = async (): Promise<void> => {
    await sandbox.connect();
    await askResident(sandboxUrl, sandbox.sandboxId);
  };
  const pause = async (): Promise<void> => {
    await sandbox.pause();
  };
  if (name === 'pause') return { before: rest, act: pause, after: resume };
  if (name === 'resume')
    return {
      before: async () => {
        await pause();
        await rest();
      },
      act: resume,
    };
  const copies: Sandbox[] = [];
  return {
    before: rest,
    act: async () => {
      const [copy] = await sandbox.fork({ count: 1, timeoutMs: 600_000 });
      if (!(copy instanceof Sandbox)) throw copy ?? new Error('There is no copy.');
      copies.push(copy);
      await askResident(sandboxUrl, copy.sandboxId);
    },
    after: async () => {
      for (const copy of copies.splice(0)) await copy.kill();
    },
  };
}

async function makeSnapshot(lab: Lab): Promise<string> {
  const source = await lab.create(await lab.cold());
  const { snapshotId } = await source.createSnapshot();
  await source.kill();
  return snapshotId;
}
