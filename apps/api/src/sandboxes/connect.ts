import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams, timingsQuery } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { resumeSandbox } from './resume.ts';
import { sandboxSchema } from './schemas.ts';
import { sandboxToWire } from './to-wire.ts';

const timeout = z.int().min(0).describe('Seconds to live from now. A running sandbox with a later end keeps it.');
const memory = z
  .boolean()
  .optional()
  .describe('False: a paused sandbox boots from its files instead of its memory. Ignored for a running sandbox.');
const connectSchema = z.object({ timeout, memory }).meta({ id: 'ConnectSandbox' });
const connectV2Schema = z.object({ timeout: timeout.default(300), memory }).meta({ id: 'ConnectSandboxV2' });
const resumeSchema = z
  .object({
    timeout: timeout.default(15),
    autoPause: z
      .boolean()
      .optional()
      .describe('Ignored; what a sandbox does at its timeout is set when it is created.'),
    memory,
  })
  .meta({ id: 'ResumedSandbox' });

const failures = errors(400, 404, 409, 413, 415, 503, 504);
const connected = {
  200: sandboxSchema.describe('It was running.'),
  201: sandboxSchema.describe('It was paused and has been resumed.'),
  ...failures,
};

export function addConnectRoutes(app: ApiApp, context: ApiContext): void {
  app.post(
    '/sandboxes/:sandboxID/connect',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Resume a sandbox if it is paused, and extend its life (older clients)',
        params: sandboxParams,
        querystring: timingsQuery,
        body: connectSchema,
        response: connected,
      },
    },
    async (request, reply) => {
      const { timeout: timeoutSeconds, memory: withMemory = true } = request.body;
      const resume = { timeoutSeconds, withMemory };
      const answer = await resumeSandbox(context, callerOf(request), request.params.sandboxID, resume);
      return reply
        .code(answer.resumed ? 201 : 200)
        .send(sandboxToWire(answer.sandbox, context.config, callerOf(request)));
    },
  );

  app.post(
    '/v2/sandboxes/:sandboxID/connect',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Resume a sandbox if it is paused, and extend its life',
        params: sandboxParams,
        querystring: timingsQuery,
        body: connectV2Schema.nullish(),
        response: connected,
      },
    },
    async (request, reply) => {
      const { timeout: timeoutSeconds = 300, memory: withMemory = true } = request.body ?? {};
      const resume = { timeoutSeconds, withMemory };
      const answer = await resumeSandbox(context, callerOf(request), request.params.sandboxID, resume);
      return reply
        .code(answer.resumed ? 201 : 200)
        .send(sandboxToWire(answer.sandbox, context.config, callerOf(request)));
    },
  );

  app.post(
    '/sandboxes/:sandboxID/resume',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Resume a paused sandbox (very old clients)',
        params: sandboxParams,
        querystring: timingsQuery,
        body: resumeSchema.nullish(),
        response: { 201: sandboxSchema, ...failures },
      },
    },
    async (request, reply) => {
      const { sandboxID } = request.params;
      const { timeout: timeoutSeconds = 15, memory: withMemory = true } = request.body ?? {};
      const resume = { timeoutSeconds, withMemory };
      const { sandbox, resumed } = await resumeSandbox(context, callerOf(request), sandboxID, resume);
      if (!resumed) throw alreadyRunning(sandboxID);
      return reply.code(201).send(sandboxToWire(sandbox, context.config, callerOf(request)));
    },
  );
}

function alreadyRunning(id: string): SoulBoxError {
  return new SoulBoxError('illegal_transition', `Sandbox ${quoteForError(id)} is already running.`);
}
