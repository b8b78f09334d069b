import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams } from '../http/schemas.ts';
import { getLive, refuseFunctions } from '../lookup/sandbox.ts';
import { sendExport } from './send-export.ts';

export const exportQuery = z.object({
  memory: z.enum(['true', 'false']).default('false').describe('Whether the saved memory is in the file, too.'),
});

export const exportAnswer = z.any().describe('The file, as `application/vnd.soulbox.export` (docs/export.md).');

export function addExportSandboxRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/sandboxes/:sandboxID/export',
    {
      config: { auth: 'key-or-signature' },
      schema: {
        tags: ['exports'],
        summary:
          'A sandbox as one signed file, which another server can import; the sandbox continues. SoulBox extension.',
        description:
          'A running sandbox is saved as for a snapshot, so its connections are closed. The file has everything on its disk, and secrets that are there.',
        params: sandboxParams,
        querystring: exportQuery,
        response: { 200: exportAnswer, ...errors(400, 404, 409, 429, 501, 503, 504) },
      },
    },
    async (request, reply) => {
      const sandbox = await getLive(context, callerOf(request), request.params.sandboxID);
      refuseFunctions(sandbox);
      const withMemory = request.query.memory === 'true';
      return await sendExport(context, request, reply, {
        source: { case: 'sandboxId', value: sandbox.id },
        withMemory,
      });
    },
  );
}
