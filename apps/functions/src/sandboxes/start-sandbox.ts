import { randomUUID } from 'node:crypto';
import { measureOperation, phase, sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import { createPrograms } from '@soulbox/envd-client';
import { functionMetadataKey, functionPorts } from '@soulbox/contract/functions';
import type { FunctionServed, FunctionSettings } from '@soulbox/contract/functions';
import type { Sandbox } from '@soulbox/contract/runner';
import type { FunctionRecord } from '@soulbox/storage';
import { z } from 'zod';
import type { FunctionsContext } from '../context.ts';
import { callPort } from './call-port.ts';

const edgeTemplate = 'edge';
/** A year, because the idle timeout is meant to end it: a function that is never idle must not stop once a day. */
const lifeSeconds = 365 * 24 * 3600;
const createMs = 60_000;
/** Making the template takes minutes the first time. A client waits this long and then retries. */
const templateWaitMs = 50_000;
/** The engine has 5 s to start the code. A slower response means that the sandbox does not respond. */
const serveMs = 20_000;
const uploadMs = 20_000;
const startMs = 10_000;
const supervisorFile = '/usr/local/lib/soulbox/edge-worker.mjs';
const maxAnswerBytes = 64 * 1024;
/** A suspect function must answer a control call within this time, or it counts as dead. */
const healthMs = 2000;

const servedSchema = z.union([
  z.object({ state: z.literal('ready') }),
  z.object({ state: z.literal('broken'), message: z.string() }),
]) satisfies z.ZodType<FunctionServed>;

/**
 * Creates a sandbox that serves the settings and returns its id. Throws `function_broken` with the message of the code.
 * After any failure nothing remains.
 */
export async function startFunctionSandbox(
  context: FunctionsContext,
  owner: Pick<FunctionRecord, 'teamId' | 'name' | 'limits'>,
  settings: FunctionSettings,
): Promise<string> {
  return await measureOperation('function-start', async (finish) => {
    const sandbox = await phase('sandbox', async () => await createSandbox(context, owner));
    const { sandboxId } = sandbox;
    // A short idle timeout must not pause it before it serves.
    using _open = context.router.enter(sandboxId);
    try {
      await phase('supervisor', async () => await startSupervisor(context, sandbox));
      const served = await phase('serve', async () => await serve(context, sandboxId, settings));
      if (served.state === 'broken') throw new SoulBoxError('function_broken', served.message.slice(0, 4000));
    } catch (error) {
      await killSandbox(context, sandboxId);
      throw error;
    }
    context.logger.info({ function: owner.name, sandboxId, ...finish() }, 'function started');
    return sandboxId;
  });
}

async function createSandbox(
  context: FunctionsContext,
  { teamId, name, limits }: Pick<FunctionRecord, 'teamId' | 'name' | 'limits'>,
): Promise<Sandbox> {
  const { runner, records, clock } = context;
  const templateId = await findTemplate(context);
  const id = randomUUID();
  const creation = { id, teamId, templateId, sandboxCount: 1, memoryMb: 0, startedAt: clock.now() };
  const own = (await records.quotas.findLimits(teamId)).get('sandboxes');
  const limit = own === null ? Infinity : (own ?? context.teamSandboxLimit);
  const allowed = { sandboxes: limit, memoryMb: Infinity };
  if ((await records.sandboxes.beginCreation(creation, allowed, clock.now())) !== undefined)
    throw new SoulBoxError(
      'too_many_sandboxes',
      `The function needs a sandbox, but the team has reached the maximum number of concurrent sandboxes (${limit}). Kill some or retry later.`,
    );
  try {
    const wanted = {
      teamId,
      templateId,
      alias: edgeTemplate,
      timeoutSeconds: lifeSeconds,
      metadata: { [functionMetadataKey]: name },
      secure: true,
      network: { allowPublicTraffic: false },
      lifecycle: {
        pauseOnTimeout: true,
        pauseMemory: true,
        autoResume: true,
        idleTimeoutSeconds: limits.idleSeconds,
        timeoutSeconds: lifeSeconds,
      },
    };
    const { sandbox } = await call(() => runner.createSandbox(wanted, { timeoutMs: createMs }));
    if (sandbox === undefined) throw new SoulBoxError('internal', 'The runner returned no sandbox.');
    return sandbox;
  } finally {
    // The runner's event creates the sandbox's own row.
    await records.sandboxes.abandonCreation(id);
  }
}

async function findTemplate({ runner }: FunctionsContext): Promise<string> {
  const { templates, makeable } = await call(() => runner.listTemplates({}));
  const present = templates.find((template) => template.names.includes(edgeTemplate));
  if (present !== undefined) return present.templateId;
  if (!makeable.includes(edgeTemplate))
    throw new SoulBoxError(
      'template_not_found',
      `Functions need the template "${edgeTemplate}", which this server does not have. Create it with \`soulbox template make ${edgeTemplate}\`.`,
    );
  const wait = { name: edgeTemplate, waitMs: templateWaitMs };
  const made = await call(() => runner.makeTemplate(wait, { timeoutMs: templateWaitMs + 5000 }));
  if (made.template !== undefined) return made.template.templateId;
  const { step, elapsedSeconds } = made;
  throw new SoulBoxError(
    'template_being_made',
    `Template "${edgeTemplate}" is being built: ${step}, ${elapsedSeconds} s so far. Retry.`,
  );
}

async function startSupervisor({ router, supervisor }: FunctionsContext, sandbox: Sandbox): Promise<void> {
  const { sandboxId, envdAccessToken } = sandbox;
  const programs = createPrograms((port) => router.dial(sandboxId, port), envdAccessToken);
  // The supervisor only holds bodies and log lines in transit.
  const args = ['--max-old-space-size=96', supervisorFile];
  try {
    await programs.upload(supervisorFile, Buffer.from(supervisor), { user: 'root', timeoutMs: uploadMs });
    await programs.startDetached({ command: '/usr/bin/node', args, user: 'root', cwd: '/' });
  } catch (cause) {
    throw new SoulBoxError(
      'sandbox_unreachable',
      'The envd in the sandbox of the function did not start its supervisor.',
      {
        cause,
      },
    );
  }
}

async function serve(
  context: FunctionsContext,
  sandboxId: string,
  settings: FunctionSettings,
): Promise<FunctionServed> {
  const giveUpAt = performance.now() + startMs;
  while (!(await isHealthy(context, sandboxId))) {
    if (performance.now() > giveUpAt)
      throw new SoulBoxError('sandbox_unreachable', 'The supervisor in the sandbox of the function did not start.');
    await sleepUnlessAborted(10, context.stopping);
  }
  const { status, body } = await callPort(await context.router.dial(sandboxId, functionPorts.control), {
    method: 'POST',
    path: '/serve',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(settings),
    timeoutMs: serveMs,
    maxAnswerBytes,
  });
  const served = status === 200 ? servedSchema.safeParse(parseJson(body.toString('utf8'))).data : undefined;
  if (served === undefined)
    throw new SoulBoxError(
      'sandbox_unreachable',
      'The supervisor in the sandbox of the function returned an invalid response.',
    );
  return served;
}

/** Whether the supervisor answers. Never throws. */
export async function isHealthy({ router }: FunctionsContext, sandboxId: string): Promise<boolean> {
  try {
    const connection = await router.dial(sandboxId, functionPorts.control);
    const ask = { method: 'GET', path: '/health', timeoutMs: healthMs, maxAnswerBytes };
    return (await callPort(connection, ask)).status === 204;
  } catch {
    return false;
  }
}

/** Never throws: a sandbox that remains is ended by a later sweep for strays (start.ts). */
export async function killSandbox({ runner, logger }: FunctionsContext, sandboxId: string): Promise<void> {
  try {
    await runner.killSandbox({ sandboxId });
  } catch (err) {
    logger.warn({ sandboxId, err }, 'sandbox of a function could not be ended');
  }
}

async function call<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw errorFromConnect(thrown);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
