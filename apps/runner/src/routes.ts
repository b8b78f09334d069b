import { create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampMs } from '@bufbuild/protobuf/wkt';
import type { ConnectRouter, HandlerContext } from '@connectrpc/connect';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract';
import { LogEntrySchema, RunnerService } from '@soulbox/contract/runner';
import type { RunnerContext } from './context.ts';
import { createSandbox } from './sandboxes/create.ts';
import { networkFromMessage, sandboxToMessage } from './sandboxes/to-message.ts';

/** Serves spec/runner: translates messages, and errors once, at this border. */
export function addRunnerRoutes(router: ConnectRouter, context: RunnerContext): void {
  const { table, events, templates, metrics, logBook } = context;

  const answer =
    <Request, Response>(handle: (request: Request) => Promise<Response>) =>
    async (request: Request): Promise<Response> => {
      try {
        return await handle(request);
      } catch (thrown) {
        const error = errorFromUnknown(thrown);
        if (error.code === 'internal') context.logger.error({ err: thrown }, 'runner call failed');
        throw connectErrorFromError(error);
      }
    };

  router.service(RunnerService, {
    createSandbox: answer(async (request) => {
      const template = await templates.find(request.templateId);
      if (template === undefined) {
        throw new SoulBoxError('template_not_found', `Template "${request.templateId}" was not found.`);
      }
      const sandbox = await createSandbox(context, template, {
        teamId: request.teamId,
        alias: request.alias,
        timeoutSeconds: request.timeoutSeconds,
        metadata: request.metadata,
        envVars: request.envVars,
        network: networkFromMessage(request.network),
        secure: request.secure,
      });
      const message = sandboxToMessage(sandbox);
      metrics.add(sandbox);
      logBook.write(sandbox.record.sandboxId, 'sandbox created', { templateID: template.templateId });
      events.emit({ event: { case: 'created', value: { sandbox: message } } });
      return { sandbox: message };
    }),

    killSandbox: answer(async (request) => {
      const known = table.find(request.sandboxId);
      if (known?.record.state !== 'running') return { existed: false };
      return { existed: await context.end(request.sandboxId, 'killed') };
    }),

    setDeadline: answer(async (request) => {
      const sandbox = table.getRunning(request.sandboxId);
      const { tenant } = sandbox.record;
      const endAtMs = request.endAt === undefined ? tenant.endAtMs : timestampMs(request.endAt);
      if (!request.onlyExtend || endAtMs > tenant.endAtMs) {
        await table.update(sandbox, { ...tenant, endAtMs });
        events.emit({ event: { case: 'updated', value: { sandbox: sandboxToMessage(sandbox) } } });
      }
      return { sandbox: sandboxToMessage(sandbox) };
    }),

    getSandbox: answer(async (request) =>
      Promise.resolve({ sandbox: sandboxToMessage(table.getRunning(request.sandboxId)) }),
    ),

    listSandboxes: answer(async () => Promise.resolve({ sandboxes: table.running().map(sandboxToMessage) })),

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
                : [latest]
              : metrics.range(
                  sandboxId,
                  start === undefined ? 0 : timestampMs(start),
                  end === undefined ? Number.MAX_SAFE_INTEGER : timestampMs(end),
                ),
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

    listTemplates: answer(async () => ({
      templates: (await templates.list()).map((template) => ({
        templateId: template.templateId,
        names: [...template.names],
        cpuCount: template.cpuCount,
        memoryMb: template.memoryMb,
        diskSizeMb: template.diskMb,
      })),
    })),

    async *watchEvents(_request: unknown, handler: HandlerContext) {
      const present = table.running().map((sandbox) => ({
        event: { case: 'created' as const, value: { sandbox: sandboxToMessage(sandbox) } },
      }));
      const done = { event: { case: 'snapshotDone' as const, value: {} } };
      yield* events.watch([...present, done], AbortSignal.any([handler.signal, context.stopping]));
    },
  });
}
