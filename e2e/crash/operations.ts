import type { RunnerProcess } from '@soulbox/testing';

/** The sandbox of an operation, and what the run has created for it. */
export interface Subject {
  readonly sandboxId: string;
  readonly snapshotId: string;
  /** The template that it was created from. */
  readonly templateId: string;
}

/** One operation of the runner that is interrupted. */
export interface Operation {
  readonly name: string;
  /** The content of the sandbox's disk. A large disk is copied in another way (docs/decisions/013). */
  readonly disk: 'small' | 'large';
  /** Brings a running sandbox to the state in which the operation starts. */
  readonly prepare: (runner: RunnerProcess, subject: Subject) => Promise<void>;
  readonly act: (runner: RunnerProcess, subject: Subject) => Promise<unknown>;
  /** Whether its sandbox may be gone afterwards. */
  readonly ends: boolean;
  /** Whether the memory may be gone afterwards because the operation drops it. */
  readonly startsAfresh: boolean;
  /** Whether it creates sandboxes without a witness. */
  readonly makesFresh: boolean;
  /** Whether it resumes its sandbox after it has paused it, so that it may run although its pause was announced. */
  readonly resumes: boolean;
}

const nothing = (): Promise<void> => Promise.resolve();
const lifeSeconds = 3600;

async function pause(runner: RunnerProcess, { sandboxId }: Subject, more: object = {}): Promise<void> {
  await runner.call('pauseSandbox', { sandboxId, keepMemory: true, durability: 'on-return', ...more });
}

async function resume(runner: RunnerProcess, { sandboxId }: Subject, withMemory = true): Promise<void> {
  await runner.call('resumeSandbox', { sandboxId, timeoutSeconds: lifeSeconds, withMemory });
}

const fork = async (runner: RunnerProcess, { sandboxId }: Subject): Promise<unknown> =>
  await runner.call('forkSandbox', {
    source: { case: 'sandboxId', value: sandboxId },
    ...{ count: 2, timeoutSeconds: lifeSeconds, teamId: 't' },
  });

const snapshot = async (runner: RunnerProcess, { sandboxId, snapshotId }: Subject): Promise<unknown> =>
  await runner.call('makeSnapshot', { sandboxId, snapshotId });

const kill = async (runner: RunnerProcess, { sandboxId }: Subject): Promise<unknown> =>
  await runner.call('killSandbox', { sandboxId });

const usual = {
  disk: 'small',
  prepare: nothing,
  ends: false,
  startsAfresh: false,
  makesFresh: false,
  resumes: false,
} as const;

export const operations: readonly Operation[] = [
  {
    ...usual,
    name: 'create',
    act: (runner, { templateId }) =>
      runner.call('createSandbox', { teamId: 't', templateId, timeoutSeconds: lifeSeconds, secure: false }),
    makesFresh: true,
  },
  { ...usual, name: 'pause', act: pause },
  {
    ...usual,
    name: 'pause in the background',
    act: (runner, one) => pause(runner, one, { durability: 'in-background' }),
  },
  {
    // The save continues after the response, and a resume waits for it.
    ...usual,
    name: 'save in the background',
    act: async (runner, one) => {
      await pause(runner, one, { durability: 'in-background' });
      await resume(runner, one);
    },
    resumes: true,
  },
  {
    ...usual,
    name: 'thaw',
    prepare: async (runner, one) => await pause(runner, one, { durability: 'in-background' }),
    act: resume,
  },
  { ...usual, name: 'resume', prepare: pause, act: resume },
  {
    ...usual,
    name: 'start afresh',
    prepare: pause,
    act: (runner, one) => resume(runner, one, false),
    startsAfresh: true,
  },
  { ...usual, name: 'snapshot', act: snapshot },
  { ...usual, name: 'snapshot of a large disk', disk: 'large', act: snapshot },
  { ...usual, name: 'snapshot of a paused one', prepare: pause, act: snapshot },
  { ...usual, name: 'fork', act: fork },
  { ...usual, name: 'fork of a large disk', disk: 'large', act: fork },
  { ...usual, name: 'fork of a paused one', prepare: pause, act: fork },
  {
    ...usual,
    name: 'create from a snapshot',
    prepare: async (runner, one) => {
      await snapshot(runner, one);
    },
    act: (runner, { snapshotId }) =>
      runner.call('createSandbox', { teamId: 't', templateId: 'x', snapshotId, timeoutSeconds: lifeSeconds }),
  },
  {
    ...usual,
    name: 'delete of a snapshot',
    prepare: async (runner, one) => {
      await snapshot(runner, one);
    },
    act: (runner, { snapshotId }) => runner.call('deleteSnapshot', { snapshotId }),
  },
  {
    ...usual,
    name: 'deadline',
    act: (runner, { sandboxId }) => runner.call('moveDeadline', { sandboxId, endAtMs: Date.now() + 7_200_000 }),
  },
  { ...usual, name: 'kill', act: kill, ends: true },
  { ...usual, name: 'kill of a paused one', prepare: pause, act: kill, ends: true },
];
