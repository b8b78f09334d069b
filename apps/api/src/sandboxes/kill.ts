import type { CallOptions } from '@connectrpc/connect';
import type { SandboxRecord } from '@soulbox/storage';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent, sandboxParams } from '../http/schemas.ts';
import { runnerStateMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { getLive, goneFromRunner } from '../lookup/sandbox.ts';

export function addKillRoute(app: ApiApp, context: ApiContext): void {
  app.delete(
    '/sandboxes/:sandboxID',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Kill a running or paused sandbox',
        params: sandboxParams,
        response: { 204: noContent, ...errors(404, 503) },
      },
    },
    async (request, reply) => {
      const record = await getLive(context, callerOf(request), request.params.sandboxID);
      await killSandbox(context, record, 'killed');
      return reply.code(204).send(null);
    },
  );
}

/**
 * Ends the sandbox in the runner, after a running step has ended, and then in the records. Throws `sandbox_not_found`
 * when the runner no longer had it.
 */
export async function killSandbox(
  context: ApiContext,
  record: SandboxRecord,
  cause: 'killed' | 'timeout',
): Promise<void> {
  const kill = (options: CallOptions) => context.runner.killSandbox({ sandboxId: record.id }, options);
  const { existed } = await callRunner(kill, runnerStateMs);
  if (!existed) throw await goneFromRunner(context, record);
  await context.records.sandboxes.end(record.id, cause, context.clock.now());
}
