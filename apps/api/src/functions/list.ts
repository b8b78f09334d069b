import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { functionSchema, functionToWire } from './schemas.ts';
import { getFunctions } from './service.ts';

export function addListFunctionsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/functions',
    {
      schema: {
        tags: ['functions'],
        summary: 'List the functions of the team',
        response: { 200: z.array(functionSchema), ...errors(501) },
      },
    },
    async (request) => (await getFunctions(context).list(callerOf(request).team.id)).map(functionToWire),
  );
}
