import { once } from 'node:events';
import { create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampMs } from '@bufbuild/protobuf/wkt';
import type { ConnectError, ConnectRouter, HandlerContext } from '@connectrpc/connect';
import { errorFromUnknown, phaseBoundsSeconds, readPhaseFigures, SoulBoxError } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract';
import { LogEntrySchema, RunnerService } from '@soulbox/contract/runner';
import type { RunBuildRequest, TeamLimits as TeamLimitsMessage } from '@soulbox/contract/runner';
import { isListed } from '@soulbox/templates';
import { buildFromMessage } from './build-from-message.ts';
import { streamBuild } from './stream-build.ts';
import { streamStaging } from './stage-backup.ts';
import { isolationOf } from '../processes/sandbox-host.ts';
import type { ServeContext } from './serve-context.ts';
import { createFromMessage, forkFromMessage, limitsFromMessage, parseDurability } from './from-message.ts';
import { streamOf } from '../run/event-stream.ts';
import { runFromMessage } from './run-from-message.ts';
import { runEventToMessage } from './run-event-to-message.ts';
import type { RunEvent } from '../run/run-event.ts';
import { runProgram } from '../run/run-program.ts';
import { forkSandbox } from '../operations/copies/fork.ts';
import { deleteSnapshot, makeSnapshot } from '../operations/copies/snapshot.ts';
import { createFromSnapshot, createSandbox } from '../operations/create.ts';
import { checkTeamLimit } from '../operations/team-limits.ts';
import type { TeamUsage } from '../operations/team-usage.ts';
import { setDeadline } from '../operations/set-deadline.ts';
import { pauseSandbox } from '../operations/pause/pause.ts';
import { resumeSandbox } from '../operations/resume/resume.ts';
import { isTenants } from '../registry/table.ts';
import { isStarted } from '../registry/started-snapshot.ts';
import { templateToMessage } from './template-to-message.ts';
import { eventToMessage } from './event-to-message.ts';
import { metricToMessage } from './metric-to-message.ts';
import { outcomeToMessage, sandboxToMessage, snapshotToMessage } from './to-message.ts';

/** Serves spec/runner: translates messages, and errors once, at this border. */
export function addRunnerRoutes(router: ConnectRouter, context: ServeContext): void {
  const { table, events, templates, metrics, logBook } = context;

  const translated = (thrown: unknown): ConnectError => {
    const error = errorFromUnknown(thrown);
    if (error.code === 'internal') context.logger.error({ err: thrown }, 'runner call failed');
    return connectErrorFromError(error);
  };

  const checkLimit = (teamId: string, limits: TeamLimitsMessage | undefined, name: keyof TeamUsage): void => {
    if (limits !== undefined) checkTeamLimit(context.usageOf(teamId), limitsFromMessage(limits), name);
  };

  const answer =
    <Request, Response>(handle: (request: Request) => Promise<Response>) =>
    async (request: Request): Promise<Response> => {
      try {
        return await handle(request);
      } catch (thrown) {
        throw translated(thrown);
      }
    };

  router.service(RunnerService, {
    createSandbox: answer(async (request) => {
      const wanted = createFromMessage(request);
      checkLimit(wanted.teamId, request.teamLimits, 'diskBytes');
      if (request.snapshotId !== '') {
        return {
          sandbox: sandboxToMessage(await createFromSnapshot(context, request.snapshotId, wanted, request.isolation)),
        };
      }
      const template = await templates.find(request.templateId);
      const { templateName } = request;
      if (template === undefined || (templateName !== '' && !template.names.includes(templateName))) {
        throw new SoulBoxError('template_not_found', `Template "${templateName || request.templateId}" was not found.`);
      }
      const isolation = request.isolation === '' ? isolationOf(context.host.config, template) : request.isolation;
      if (template.startCommand !== undefined) {
        const snapshotId = await context.started.snapshotOf(template, isolation);
        return { sandbox: sandboxToMessage(await createFromSnapshot(context, snapshotId, wanted, isolation)) };
      }
      const sandbox = await createSandbox(context, { template, isolation }, wanted);
      return { sandbox: sandboxToMessage(sandbox) };
    }),

    killSandbox: answer(async (request) => {
      const known = table.find(request.sandboxId);
      // Of two kills at once the second waits for the first, so that both are answered when it is gone.
      const isKillable = known !== undefined && (isTenants(known) || known.record.state === 'ending');
      return { existed: isKillable && (await context.end(request.sandboxId, 'killed')) };
    }),

    pauseSandbox: answer(async (request) => {
      const { record } = table.getTenants(request.sandboxId);
      // One that is paused already takes no more, and its caller is told that it is.
      if (record.state !== 'paused') checkLimit(record.tenant.teamId, request.teamLimits, 'pausedMemoryBytes');
      const sandbox = await pauseSandbox(context, request.sandboxId, {
        keepMemory: request.keepMemory,
        durability: parseDurability(request.durability, context.host.config.pauseDurability),
        cause: 'request',
      });
      return { sandbox: sandboxToMessage(sandbox) };
    }),

    resumeSandbox: answer(async (request) => {
      const { sandbox, resumed } = await resumeSandbox(context, request.sandboxId, {
        timeoutSeconds: request.timeoutSeconds,
        withMemory: request.withMemory,
        cause: 'request',
      });
      return { sandbox: sandboxToMessage(sandbox), resumed };
    }),

    makeSnapshot: answer(async ({ sandboxId, snapshotId, teamLimits }) => {
      checkLimit(table.getTenants(sandboxId).record.tenant.teamId, teamLimits, 'diskBytes');
      return { snapshot: snapshotToMessage(await makeSnapshot(context, sandboxId, snapshotId)) };
    }),

    deleteSnapshot: answer(async (request) => ({ existed: await deleteSnapshot(context, request.snapshotId) })),

    listSnapshots: answer(async () =>
      Promise.resolve({
        snapshots: context.snapshots
          .list()
          .filter(({ snapshotId }) => !isStarted(snapshotId))
          .map((snapshot) => snapshotToMessage(snapshot)),
      }),
    ),

    forkSandbox: answer(async (request) => {
      checkLimit(request.teamId, request.teamLimits, 'diskBytes');
      const outcomes = await forkSandbox(context, forkFromMessage(request));
      return { outcomes: outcomes.map((outcome) => outcomeToMessage(outcome)) };
    }),

    setDeadline: answer(async (request) => ({
      sandbox: sandboxToMessage(
        await setDeadline(
          context,
          request.sandboxId,
          request.endAt === undefined ? undefined : timestampMs(request.endAt),
          request.onlyExtend,
        ),
      ),
    })),

    getSandbox: answer(async (request) =>
      Promise.resolve({ sandbox: sandboxToMessage(table.getTenants(request.sandboxId)) }),
    ),

    listSandboxes: answer(async () => Promise.resolve({ sandboxes: table.tenants().map(sandboxToMessage) })),

    getMetrics: answer(async (request) => {
      const { start, end } = request;
      const newestOnly = start === undefined && end === undefined;
      return Promise.resolve({
        series: request.sandboxIds.map((sandboxId) => {
          const latest = metrics.latest(sandboxId);
          return {
            sandboxId,
            metrics: newestOnly
              ? latest === undefined
                ? []
                : [metricToMessage(latest)]
              : metrics
                  .range(
                    sandboxId,
                    start === undefined ? 0 : timestampMs(start),
                    end === undefined ? Number.MAX_SAFE_INTEGER : timestampMs(end),
                  )
                  .map(metricToMessage),
          };
        }),
      });
    }),

    getTeamUsage: answer(async ({ teamId }) => {
      const { diskBytes, pausedMemoryBytes } = context.usageOf(teamId);
      return await Promise.resolve({ diskBytes: BigInt(diskBytes), pausedMemoryBytes: BigInt(pausedMemoryBytes) });
    }),

    getPool: answer(async () => {
      const { failedBoots, ...figures } = context.pool.figures();
      return await Promise.resolve({ ...figures, failedBoots: BigInt(failedBoots) });
    }),

    getPhases: answer(async () => {
      const series = readPhaseFigures().map(({ counts, total, ...one }) => ({
        ...one,
        counts: counts.map(BigInt),
        total: BigInt(total),
      }));
      return await Promise.resolve({ boundsSeconds: [...phaseBoundsSeconds], series });
    }),

    getHostDisk: answer(async () => {
      const { host } = context;
      const figures = host.disks.figures();
      return await Promise.resolve({
        totalBytes: BigInt(figures.totalBytes),
        freeBytes: BigInt(figures.freeBytes),
        reserveBytes: BigInt(Math.round(figures.reserveBytes)),
        committedBytes: BigInt(Math.round(figures.committedBytes)),
        toldBytes: BigInt(figures.toldBytes),
        overcommit: host.config.diskOvercommit,
        disks: figures.disks,
        stopped: figures.stopped,
      });
    }),

    async *holdHostRoom({ bytes, what }, handler) {
      const admit = answer((size: number) => Promise.resolve(context.host.disks.admit(size, what)));
      const room = await admit(Number(bytes));
      const over = AbortSignal.any([handler.signal, context.stopping]);
      // Not after the message: a caller that reads no further leaves the generator where it is.
      const ended = (over.aborted ? Promise.resolve() : once(over, 'abort')).then(() => {
        room[Symbol.dispose]();
      });
      yield {};
      await ended;
    },

    getLogs: answer(async (request) => {
      const lines = await logBook.read(request.sandboxId);
      return {
        entries: lines.map(({ timestamp, ...rest }) =>
          create(LogEntrySchema, { ...rest, timestamp: timestampFromDate(new Date(timestamp)) }),
        ),
      };
    }),

    listTemplates: answer(async () => ({
      templates: (await templates.list()).filter(isListed).map(templateToMessage),
      makeable: await context.maker.makeable(),
    })),

    async *runProgram(request, handler) {
      try {
        const wanted = runFromMessage(request);
        const gone = AbortSignal.any([handler.signal, context.stopping]);
        const events = streamOf<RunEvent>(async (emit, left) => await runProgram(context, wanted, emit, left), gone);
        for await (const event of events) yield runEventToMessage(event);
      } catch (thrown) {
        throw translated(thrown);
      }
    },
    makeTemplate: answer(async ({ name, waitMs }) => {
      const made = await context.maker.make(name, waitMs);
      if ('templateId' in made) return { template: templateToMessage(made) };
      return { step: made.step, elapsedSeconds: Math.round(made.elapsedMs / 1000) };
    }),
    async *runBuild(request: RunBuildRequest, handler: HandlerContext) {
      const spec = await answer((message: RunBuildRequest) => Promise.resolve(buildFromMessage(message)))(request);
      yield* streamBuild(context, spec, handler.signal);
    },

    async *stageSandboxes(_request: unknown, handler: HandlerContext) {
      try {
        yield* streamStaging(context, 'sandboxes', handler.signal);
      } catch (thrown) {
        throw translated(thrown);
      }
    },

    async *stageSnapshots(_request: unknown, handler: HandlerContext) {
      try {
        yield* streamStaging(context, 'snapshots', handler.signal);
      } catch (thrown) {
        throw translated(thrown);
      }
    },

    getProcess: answer(async () => {
      const figures = await context.measureProcess();
      const { loopLag, maxDescriptors } = figures;
      return {
        residentMemoryBytes: BigInt(figures.residentBytes),
        heapUsedBytes: BigInt(figures.heapUsedBytes),
        startTimeSeconds: figures.startTimeSeconds,
        openDescriptors: figures.openDescriptors,
        maxDescriptors: BigInt(maxDescriptors ?? 0),
        loopLagP50Seconds: loopLag.p50,
        loopLagP99Seconds: loopLag.p99,
        loopLagMaxSeconds: loopLag.max,
        droppedLogLines: BigInt(figures.droppedLogLines),
      };
    }),

    async *watchEvents(_request: unknown, handler: HandlerContext) {
      const present = table.tenants().map(({ record }) => ({ kind: 'created' as const, record }));
      const over = AbortSignal.any([handler.signal, context.stopping]);
      for await (const event of events.watch([...present, { kind: 'listed' }], over)) yield eventToMessage(event);
    },
  });
}
