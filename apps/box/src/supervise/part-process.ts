import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { reasons, SoulBoxError } from '@soulbox/base';
import type { OwnFigures, Reason, RootLogger } from '@soulbox/base';
import { compileCacheFolder } from '@soulbox/host/installation';
import { channelFd, openMessageChannel, reportSchema } from '@soulbox/process';
import { nodeFlags } from '@soulbox/process/node-flags';
import type { Order, Report } from '@soulbox/process';
import { passLines } from './pass-lines.ts';

const launcher = fileURLToPath(import.meta.resolve('@soulbox/process/launch'));

/** A part of the server that runs as a process of its own. */
export interface PartPlan {
  /** Its name in the log. */
  readonly name: string;
  /**
   * The names that its log lines may have as `part`. Absent: any name, for a part that is trusted as much as the
   * supervisor.
   */
  readonly logNames?: readonly string[];
  /** File of the program. */
  readonly program: string;
  /** Its own namespaces, as options of unshare(1). With them it also has no io_uring. */
  readonly namespaces?: readonly string[];
  /** Open descriptors that it inherits. In the process their numbers start at `firstDescriptor`. */
  readonly descriptors: readonly number[];
  readonly environment: Readonly<Record<string, string>>;
}

/** Number of the first of `PartPlan.descriptors`, after the standard streams and the channel. */
export const firstDescriptor = channelFd + 1;

/** Limit of a report, which contains a few facts or one sentence. */
const reportMaxBytes = 64 * 1024;
/** The longest task is an orderly end of all sandboxes. */
const tellTimeoutMs = 120_000;

export interface PartExit {
  readonly code: number | null;
  readonly signal: string | null;
}

export interface PartProcess {
  readonly pid: number;
  /** Never rejects. */
  readonly exited: Promise<PartExit>;
  /**
   * Sends the settings and returns the facts that the part reports when it is ready. Throws the reason when the part
   * could not start.
   */
  start(settings: object): Promise<Readonly<Record<string, unknown>>>;
  /**
   * Sends an order by name and resolves when it is done. Throws when the order failed or the process ended meanwhile.
   */
  tell(what: string, value?: unknown): Promise<void>;
  /** Asks whether it is responsive. Rejects after `timeoutMs`, or when it has ended. */
  checkAlive(timeoutMs: number): Promise<OwnFigures | undefined>;
  /** Stops it in order, or kills it after `timeoutMs`. */
  stop(options: { keepSandboxes: boolean; timeoutMs: number }): Promise<void>;
  kill(): void;
}

/** Starts the process, which loads its code and then waits for its settings. Its output goes to the log. */
export function startPartProcess(plan: PartPlan, logger: RootLogger): PartProcess {
  const { namespaces = [], program } = plan;
  const apart = ['unshare', ...namespaces, '--', process.execPath, ...nodeFlags, launcher, program];
  const [file = '', ...rest] = namespaces.length > 0 ? apart : [process.execPath, ...nodeFlags, program];
  const child = spawn(file, rest, {
    cwd: '/',
    env: { ...plan.environment, NODE_COMPILE_CACHE: compileCacheFolder() },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...plan.descriptors],
  });
  const exited = new Promise<PartExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', (err) => {
      logger.error({ part: plan.name, err }, 'a process of the server could not be started');
      resolve({ code: null, signal: null });
    });
  });
  for (const stream of [child.stdout, child.stderr])
    if (stream !== null) passLines(stream, { part: plan.name, names: plan.logNames, logger });
  const reports = createReports();
  const channel = openMessageChannel(child.stdio[channelFd] as Duplex, {
    messageMaxBytes: reportMaxBytes,
    listener: {
      onMessage: (message) => reports.hear(message),
      onEnd(isTooLong) {
        if (!isTooLong) return;
        logger.error(
          { part: plan.name, pid: child.pid },
          'a process of the server wrote an endless message and is killed',
        );
        child.kill('SIGKILL');
      },
    },
  });
  // Before this report the process may still be replaced by another program. Nothing may have been sent to it by then.
  const loaded = reports.next(({ kind }) => kind === 'loaded');
  const send = (order: Order): void => channel.send(order);
  const endedEarly = exited.then(({ code, signal }) => {
    throw new Error(`The ${plan.name} ended (${String(signal ?? code)}).`);
  });
  endedEarly.catch(() => undefined);

  return {
    pid: child.pid ?? -1,
    exited,
    async start(settings) {
      await Promise.race([loaded, endedEarly]);
      const outcome = reports.next(({ kind }) => kind === 'ready' || kind === 'failed');
      send({ kind: 'start', settings: { ...settings } });
      const report = await Promise.race([outcome, endedEarly]);
      if (report.kind === 'ready') return report.facts;
      throw errorFrom(report);
    },
    async tell(what, value) {
      await Promise.race([loaded, endedEarly]);
      const outcome = reports.next((report) => report.kind === 'told' && report.what === what, tellTimeoutMs);
      send({ kind: 'tell', what, value });
      const report = await Promise.race([outcome, endedEarly]);
      if (report.kind === 'told' && report.error !== undefined) throw new Error(report.error);
    },
    async checkAlive(timeoutMs) {
      const answer = reports.next(({ kind }) => kind === 'alive', timeoutMs);
      await Promise.race([loaded, endedEarly, answer]);
      send({ kind: 'alive' });
      const report = await Promise.race([answer, endedEarly]);
      return report.kind === 'alive' ? report.figures : undefined;
    },
    async stop({ keepSandboxes, timeoutMs }) {
      send({ kind: 'stop', keepSandboxes });
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      await exited;
      clearTimeout(timer);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

interface Reports {
  hear(message: unknown): void;
  /** Rejects after `timeoutMs`: callers must not pile up while a part hangs. */
  next(isWanted: (report: Report) => boolean, timeoutMs?: number): Promise<Report>;
}

function createReports(): Reports {
  const waiting = new Set<(report: Report) => void>();
  return {
    hear(message) {
      const report = reportSchema.safeParse(message).data;
      if (report !== undefined) for (const hear of waiting) hear(report);
    },
    next: async (isWanted, timeoutMs) =>
      await new Promise((resolve, reject) => {
        const giveUp = (): void => {
          waiting.delete(hear);
          reject(new Error(`It did not respond within ${(timeoutMs ?? 0) / 1000} s.`));
        };
        const timer = timeoutMs === undefined ? undefined : setTimeout(giveUp, timeoutMs);
        timer?.unref();
        const hear = (report: Report): void => {
          if (!isWanted(report)) return;
          waiting.delete(hear);
          clearTimeout(timer);
          resolve(report);
        };
        waiting.add(hear);
      }),
  };
}

function errorFrom(report: Report): Error {
  if (report.kind !== 'failed') return new Error('not a failure');
  const { reason, message } = report;
  return reason !== undefined && Object.hasOwn(reasons, reason)
    ? new SoulBoxError(reason as Reason, message)
    : new Error(message);
}
