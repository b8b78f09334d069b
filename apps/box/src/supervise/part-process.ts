import { reasons, SoulBoxError } from '@soulbox/base';
import type { OwnFigures, Reason, RootLogger } from '@soulbox/base';
import { openMessageChannel, reportSchema } from '@soulbox/process';
import type { Order, Report, WantedPart } from '@soulbox/process';
import type { LaunchedPart, PartExit } from './launch.ts';

/** Limit of a report, which contains a few facts or one sentence. */
const reportMaxBytes = 64 * 1024;
/** The longest task is an orderly end of all sandboxes. */
const tellTimeoutMs = 120_000;

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

/** What a part may ask for, perhaps often: it may be compromised. */
export interface PartRequests {
  /** It needs another part. */
  readonly onWant?: ((part: WantedPart) => void) | undefined;
  /** Whether its next process should be loaded already. */
  readonly onStandby?: ((isWanted: boolean) => void) | undefined;
}

/** Speaks with a process that loads its code and then waits for its settings. */
export function controlPart(
  name: string,
  launched: LaunchedPart,
  logger: RootLogger,
  requests: PartRequests = {},
): PartProcess {
  const { pid, exited, unit } = launched;
  const reports = createReports();
  const channel = openMessageChannel(launched.channel, {
    messageMaxBytes: reportMaxBytes,
    listener: {
      onMessage: (message) => reports.hear(message, requests),
      onEnd(isTooLong) {
        if (!isTooLong) return;
        logger.error({ part: name, pid }, 'a process of the server wrote an endless message and is killed');
        launched.kill();
      },
    },
  });
  // Before this report the process may still be replaced by another program. Nothing may have been sent to it by then.
  const loaded = reports.next(({ kind }) => kind === 'loaded');
  const send = (order: Order): void => channel.send(order);
  const endedEarly = exited.then(({ code, signal }) => {
    throw new Error(`The ${name} ended (${String(signal ?? code)}).`);
  });
  endedEarly.catch(() => undefined);

  return {
    pid,
    exited,
    async start(settings) {
      await Promise.race([loaded, endedEarly]);
      const outcome = reports.next(({ kind }) => kind === 'ready' || kind === 'failed');
      send({ kind: 'start', settings: { ...settings }, unit });
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
      const timer = setTimeout(() => launched.kill(), timeoutMs);
      await exited;
      clearTimeout(timer);
    },
    kill: () => launched.kill(),
  };
}

interface Reports {
  hear(message: unknown, requests: PartRequests): void;
  /** Rejects after `timeoutMs`: callers must not pile up while a part hangs. */
  next(isWanted: (report: Report) => boolean, timeoutMs?: number): Promise<Report>;
}

function createReports(): Reports {
  const waiting = new Set<(report: Report) => void>();
  return {
    hear(message, { onWant, onStandby }) {
      const report = reportSchema.safeParse(message).data;
      if (report?.kind === 'wants') onWant?.(report.part);
      if (report?.kind === 'standby') onStandby?.(report.isWanted);
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
