import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams } from '../http/schemas.ts';
import { checkTimeout, moveDeadline } from './deadline.ts';
import { getRunning } from './find.ts';
import { sandboxSchema } from './schemas.ts';
import { sandboxToWire } from './to-wire.ts';

const timeout = z.int().min(0).describe('Seconds from now; an earlier end than the present one is ignored.');
const memory = z.boolean().optional().describe('Only matters for paused sandboxes.');
const connectSchema = z.object({ timeout, memory }).meta({ id: 'ConnectSandbox' });
const connectV2Schema = z.object({ timeout: timeout.default(300), memory }).meta({ id: 'ConnectSandboxV2' });

const response = { 200: sandboxSchema, ...errors(400, 404, 413, 415, 503) };

export function addConnectRoutes(app: ApiApp, context: ApiContext): void {
  const connect = async (caller: Caller, id: string, timeoutSeconds: number) => {
    checkTimeout(context, timeoutSeconds);
    const record = await getRunning(context, caller, id);
    return sandboxToWire(await moveDeadline(context, record, timeoutSeconds, true), context.config);
  };

  app.post(
    '/sandboxes/:sandboxID/connect',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Connect to a running sandbox and extend its life (older clients)',
        params: sandboxParams,
        body: connectSchema,
        response,
      },
    },
    (request) => connect(callerOf(request), request.params.sandboxID, request.body.timeout),
  );

  app.post(
    '/v2/sandboxes/:sandboxID/connect',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Connect to a running sandbox and extend its life',
        params: sandboxParams,
        body: connectV2Schema.nullish(),
        response,
      },
    },
    (request) => connect(callerOf(request), request.params.sandboxID, request.body?.timeout ?? 300),
  );
}
