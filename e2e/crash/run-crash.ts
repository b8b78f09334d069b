import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { openTemplateStore } from '@soulbox/templates';
import type { Isolation } from '@soulbox/contract';
import { listHostTraces, makeTestDirectory, startRunnerProcess, testTemplatesDirectory } from '@soulbox/testing';
import type { RunnerProcess } from '@soulbox/testing';
import { createRandom } from '../chaos/random.ts';
import type { Random } from '../chaos/random.ts';
import type { Boundary } from './boundaries.ts';
import { traceProcess } from './boundaries.ts';
import type { Operation, Subject } from './operations.ts';
import { operations } from './operations.ts';
import { checkModel, clearAway } from './model.ts';
import type { Round } from './model.ts';
import { startWitness } from './witness.ts';

export interface CrashOptions {
  readonly instance: number;
  readonly isolation: Isolation;
  /** Number of boundaries of each operation with a kill, chosen by the seed. Infinity: all. */
  readonly perOperation: number;
  readonly seed: number;
  /** Only operations whose name contains this. */
  readonly only: string;
  /** Only as many of these operations, chosen by the seed. Default: all. */
  readonly operations?: number;
  /** Only this boundary, as a violation names it: `thread 7, rename 5`. Empty: no restriction. */
  readonly at?: string;
  readonly onProgress: (text: string) => void;
}

export interface CrashReport {
  readonly rounds: number;
  /** Rounds in which the chosen call took place. */
  readonly kills: number;
  /** The number of boundaries by operation. */
  readonly boundaries: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
  readonly leftovers: readonly string[];
}

/**
 * Kills a runner in place of one system call after another, in every operation. Then checks the result with the next
 * runner: content, memory against disk, nothing hidden, nothing duplicated.
 */
export async function runCrash(options: CrashOptions): Promise<CrashReport> {
  const lab = await openLab(options);
  const random = createRandom(options.seed);
  const report = { rounds: 0, kills: 0, boundaries: {} as Record<string, number>, violations: [] as string[] };
  try {
    const named = operations.filter(({ name }) => name.includes(options.only));
    for (const operation of choose(named, options.operations ?? Infinity, random)) {
      const all = await lab.listBoundaries(operation);
      report.boundaries[operation.name] = all.length;
      const meant = all.filter((boundary) => (options.at ?? '') === '' || nameOf(boundary) === options.at);
      const chosen = choose(meant, options.perOperation, random);
      for (const [index, boundary] of chosen.entries()) {
        const { killed, violations } = await lab.tryAt(operation, boundary);
        report.rounds++;
        if (killed) report.kills++;
        const where = `${operation.name}, ${nameOf(boundary)}`;
        report.violations.push(...violations.map((text) => `${where}: ${text}`));
        for (const text of violations) options.onProgress(`VIOLATION ${where}: ${text}`);
        if (index % 10 === 9) options.onProgress(`${operation.name}: ${index + 1} of ${chosen.length}`);
      }
      options.onProgress(`${operation.name}: ${chosen.length} of ${all.length} boundaries tried`);
    }
    await lab.stop();
    const leftovers = await listHostTraces(options.instance, lab.directory);
    // The runner's log is kept for the search for the cause.
    if (report.violations.length + leftovers.length === 0) await removeTree(lab.directory);
    else options.onProgress(`the log is in ${lab.directory}`);
    return { ...report, leftovers };
  } finally {
    await lab[Symbol.asyncDispose]();
  }
}

const nameOf = ({ thread, name, call }: Boundary): string => `thread ${thread}, ${name} ${call}`;

/** That many of them, in their order. */
function choose<Choice>(all: readonly Choice[], count: number, random: Random): readonly Choice[] {
  if (all.length <= count) return all;
  const places = new Set<number>();
  while (places.size < count) places.add(Math.floor(random.between(0, all.length)));
  return all.filter((_, index) => places.has(index));
}

interface Lab extends AsyncDisposable {
  readonly directory: string;
  listBoundaries(operation: Operation): Promise<readonly Boundary[]>;
  tryAt(operation: Operation, boundary: Boundary): Promise<{ killed: boolean; violations: string[] }>;
  stop(): Promise<void>;
}

async function openLab({ instance, isolation }: CrashOptions): Promise<Lab> {
  const directory = await makeTestDirectory('crash-');
  const templateId = (await openTemplateStore(testTemplatesDirectory, silentLogger).find('base'))?.templateId ?? '';
  const start = async (): Promise<RunnerProcess> =>
    await startRunnerProcess(instance, directory, {
      // One worker, so that an operation makes the same calls each time. A background pause completes by itself.
      environment: { UV_THREADPOOL_SIZE: '1', SOULBOX_PAUSE_GRACE_SECONDS: '5', SOULBOX_ISOLATION: isolation },
    });
  let runner = await start();
  let subject: Subject | undefined;
  let snapshots = 0;

  /** A running sandbox with a witness: that of the previous round if it is still intact. */
  const getSubject = async (operation: Operation): Promise<Subject> => {
    const snapshotId = `s${++snapshots}`;
    if (subject !== undefined && operation.disk === 'small') return { ...subject, snapshotId };
    const request = { teamId: 't', templateId, timeoutSeconds: 3600, secure: false };
    const { sandboxId } = (await runner.call('createSandbox', request))['sandbox'] as { sandboxId: string };
    if (operation.disk === 'large') await runner.call('fill', { sandboxId });
    await startWitness(runner, sandboxId);
    subject = { sandboxId, snapshotId, templateId };
    return subject;
  };

  const begin = async (operation: Operation): Promise<Subject> => {
    const one = await getSubject(operation);
    await operation.prepare(runner, one);
    return one;
  };

  const conclude = async (operation: Operation, round: Round): Promise<string[]> => {
    const violations = await checkModel(runner, directory, operation, round);
    const isWhole = violations.length === 0 && !operation.ends && !operation.startsAfresh && operation.disk === 'small';
    await clearAway(runner, templateId, isWhole ? round.subject.sandboxId : undefined);
    subject = isWhole ? round.subject : undefined;
    return violations;
  };

  return {
    directory,
    async listBoundaries(operation) {
      const one = await begin(operation);
      const seen = runner.events.length;
      let boundaries: readonly Boundary[];
      {
        await using trace = await traceProcess(runner.pid);
        await operation.act(runner, one);
        boundaries = [...trace.boundaries()];
      }
      const violations = await conclude(operation, { subject: one, isDone: true, events: runner.events.slice(seen) });
      if (violations.length > 0) throw new Error(`${operation.name} without a kill: ${violations.join('; ')}`);
      return boundaries;
    },
    async tryAt(operation, boundary) {
      const one = await begin(operation);
      const before = runner;
      const seen = before.events.length;
      let isDone: boolean;
      {
        await using _trace = await traceProcess(before.pid, boundary);
        isDone = await operation.act(before, one).then(
          () => true,
          () => false,
        );
      }
      const killed = !isDone;
      await before.kill();
      runner = await start();
      const events = before.events.slice(seen);
      return { killed, violations: await conclude(operation, { subject: one, isDone, events }) };
    },
    async stop() {
      await clearAway(runner, templateId, undefined);
      await runner.stop();
    },
    async [Symbol.asyncDispose]() {
      await runner.kill();
    },
  };
}
