import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams } from '../http/schemas.ts';
import { callRunner } from '../runner/call.ts';
import { getLive, goneFromRunner, withRow } from '../lookup/sandbox.ts';
import { sandboxDetailSchema } from './schemas.ts';
import { detailToWire } from './to-wire.ts';

export function addGetRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/sandboxes/:sandboxID',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Show a running or paused sandbox',
        params: sandboxParams,
        response: { 200: sandboxDetailSchema, ...errors(404, 503) },
      },
    },
    async (request) => {
      const caller = callerOf(request);
      const record = await getLive(context, caller, request.params.sandboxID);
      // Only the runner keeps the access token.
      const { sandbox } = await withRow(context, record, () =>
        callRunner((options) => context.runner.getSandbox({ sandboxId: record.id }, options)),
      );
      if (sandbox === undefined) throw await goneFromRunner(context, record);
      return detailToWire(sandbox, context.config, caller);
    },
  );
}
