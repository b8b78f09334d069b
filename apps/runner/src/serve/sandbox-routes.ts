import { create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { LogEntrySchema } from '@soulbox/contract/runner';
import type { RunnerService } from '@soulbox/contract/runner';
import { forkSandbox } from '../operations/copies/fork.ts';
import { createFromSnapshot, createSandbox } from '../operations/create.ts';
import { pauseSandbox } from '../operations/pause/pause.ts';
import { resumeSandbox } from '../operations/resume/resume.ts';
import { setDeadline } from '../operations/set-deadline.ts';
import { isolationOf } from '../processes/sandbox-host.ts';
import type { Answers } from './answer.ts';
import { checkTeam, checkTemplate, isKillable, takesMemory } from './check-request.ts';
import { eventToMessage } from './event-to-message.ts';
import { createFromMessage, forkFromMessage, parseDurability } from './from-message.ts';
import { metricToMessage } from './metric-to-message.ts';
import type { ServeContext } from './serve-context.ts';
import { outcomeToMessage, sandboxToMessage } from './to-message.ts';

/** Serves the lifecycle of sandboxes, their metrics, logs and events. */
export function createSandboxRoutes(
  context: ServeContext,
  { answer }: Answers,
): Partial<ServiceImpl<typeof RunnerService>> {
  const { events, logBook, metrics, table, templates, usageOf } = context;
  return {
    createSandbox: answer(async (request) => {
      const wanted = createFromMessage(request);
      checkTeam(usageOf, wanted.teamId, request.teamLimits, 'diskBytes');
      if (request.snapshotId !== '') {
        return {
          sandbox: sandboxToMessage(await createFromSnapshot(context, request.snapshotId, wanted, request.isolation)),
        };
      }
      const template = checkTemplate(await templates.find(request.templateId), request);
      const isolation = request.isolation === '' ? isolationOf(context.host.config, template) : request.isolation;
      if (template.startCommand !== undefined) {
        const snapshotId = await context.started.snapshotOf(template, isolation);
        return { sandbox: sandboxToMessage(await createFromSnapshot(context, snapshotId, wanted, isolation)) };
      }
      const sandbox = await createSandbox(context, { template, isolation }, wanted);
      return { sandbox: sandboxToMessage(sandbox) };
    }),

    killSandbox: answer(async ({ sandboxId }) => ({
      existed: isKillable(table.find(sandboxId)) && (await context.end(sandboxId, 'killed')),
    })),

    pauseSandbox: answer(async (request) => {
      const { record } = table.getTenants(request.sandboxId);
      if (takesMemory(record)) checkTeam(usageOf, record.tenant.teamId, request.teamLimits, 'pausedMemoryBytes');
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

    forkSandbox: answer(async (request) => {
      checkTeam(usageOf, request.teamId, request.teamLimits, 'diskBytes');
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

    getLogs: answer(async (request) => {
      const lines = await logBook.read(request.sandboxId);
      return {
        entries: lines.map(({ timestamp, ...rest }) =>
          create(LogEntrySchema, { ...rest, timestamp: timestampFromDate(new Date(timestamp)) }),
        ),
      };
    }),

    async *watchEvents(_request: unknown, handler: HandlerContext) {
      const present = table.tenants().map(({ record }) => ({ kind: 'created' as const, record }));
      const over = AbortSignal.any([handler.signal, context.stopping]);
      for await (const event of events.watch([...present, { kind: 'listed' }], over)) yield eventToMessage(event);
    },
  };
}
