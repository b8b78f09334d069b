import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { ServiceImpl } from '@connectrpc/connect';
import type { CreateSandboxRequest, RunnerService } from '@soulbox/contract/runner';
import { forkSandbox } from '../operations/copies/fork.ts';
import { createFromSnapshot, createSandbox } from '../operations/create.ts';
import { pauseSandbox } from '../operations/pause/pause.ts';
import { resumeSandbox } from '../operations/resume/resume.ts';
import { setDeadline } from '../operations/set-deadline.ts';
import { setNetworkPolicy } from '../operations/set-network-policy.ts';
import { isolationOf } from '../processes/sandbox-host.ts';
import type { TenantSandbox } from '../registry/table.ts';
import type { Answers } from './answer.ts';
import { checkTeam, checkTemplate, isKillable, takesMemory } from './check-request.ts';
import { createOnceOnly, madeBy } from './create-once.ts';
import { createFromMessage, forkFromMessage, networkFromMessage, parseCause, parseDurability } from './from-message.ts';
import { createObservationRoutes } from './observation-routes.ts';
import type { ServeContext } from './serve-context.ts';
import { outcomeToMessage, sandboxToMessage } from './to-message.ts';
import type { ServedOutcome } from './to-message.ts';

/** Serves the lifecycle of sandboxes, and what is known about them. */
export function createSandboxRoutes(
  context: ServeContext,
  answers: Answers,
): Partial<ServiceImpl<typeof RunnerService>> {
  const { answer, timed } = answers;
  const { table, usageOf } = context;
  const onceOnly = createOnceOnly((wanted) => madeBy(table.tenants(), wanted)?.[0]);
  const forkOnceOnly = createOnceOnly<ServedOutcome[]>((wanted) =>
    madeBy(table.tenants(), wanted)?.map((sandbox) => ({ sandbox })),
  );
  return {
    ...createObservationRoutes(context, answers),

    createSandbox: timed(async (request, { signal }) => ({
      sandbox: sandboxToMessage(await onceOnly(request, async () => await createFor(context, request, signal))),
    })),

    killSandbox: answer(async ({ sandboxId, cause }) => ({
      existed: isKillable(table.find(sandboxId)) && (await context.end(sandboxId, parseCause(cause, 'killed'))),
    })),

    pauseSandbox: timed(async (request) => {
      const { record } = table.getTenants(request.sandboxId);
      if (takesMemory(record)) checkTeam(usageOf, record.tenant.teamId, request.teamLimits, 'pausedMemoryBytes');
      const sandbox = await pauseSandbox(context, request.sandboxId, {
        keepMemory: request.keepMemory,
        durability: parseDurability(request.durability, context.host.config.pauseDurability),
        cause: parseCause(request.cause, 'request'),
      });
      return { sandbox: sandboxToMessage(sandbox) };
    }),

    resumeSandbox: timed(async (request) => {
      const { sandbox, resumed } = await resumeSandbox(context, request.sandboxId, {
        timeoutSeconds: request.timeoutSeconds,
        withMemory: request.withMemory,
        cause: 'request',
      });
      return { sandbox: sandboxToMessage(sandbox), resumed };
    }),

    forkSandbox: timed(async (request, { signal }) => {
      checkTeam(usageOf, request.teamId, request.teamLimits, 'diskBytes');
      context.holds.check(request);
      const fork = forkFromMessage(request, signal);
      const outcomes = await forkOnceOnly(request, async () => await forkSandbox(context, fork));
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

    setNetworkPolicy: answer(async ({ sandboxId, policy }) => ({
      sandbox: sandboxToMessage(await setNetworkPolicy(context, sandboxId, networkFromMessage(policy))),
    })),

    getSandbox: answer(async (request) =>
      Promise.resolve({ sandbox: sandboxToMessage(table.getTenants(request.sandboxId)) }),
    ),

    listSandboxes: answer(async () => Promise.resolve({ sandboxes: table.tenants().map(sandboxToMessage) })),
  };
}

/** From a snapshot if the request names one, or if the template has programs that its sandboxes start with. */
async function createFor(
  context: ServeContext,
  request: CreateSandboxRequest,
  signal: AbortSignal,
): Promise<TenantSandbox> {
  const wanted = createFromMessage(request, signal);
  context.holds.check(wanted);
  checkTeam(context.usageOf, wanted.teamId, request.teamLimits, 'diskBytes');
  if (request.snapshotId !== '')
    return await createFromSnapshot(context, request.snapshotId, wanted, request.isolation);
  const template = checkTemplate(await context.templates.find(request.templateId), request);
  const isolation = request.isolation === '' ? isolationOf(context.host.config, template) : request.isolation;
  if (template.startCommand === undefined) return await createSandbox(context, { template, isolation }, wanted);
  const snapshotId = await context.started.snapshotOf(template, isolation);
  return await createFromSnapshot(context, snapshotId, wanted, isolation);
}
