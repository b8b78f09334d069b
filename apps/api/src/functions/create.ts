import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import {
  deployBodyBytesMax,
  functionSchema,
  functionToWire,
  newFunctionSchema,
  startErrors,
  requestFromBody,
} from './schemas.ts';
import { getFunctions } from './service.ts';

export function addCreateFunctionRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/functions',
    {
      bodyLimit: deployBodyBytesMax,
      schema: {
        tags: ['functions'],
        summary: 'Create a function and deploy its first version; responds when it serves requests',
        body: newFunctionSchema,
        response: { 201: functionSchema, ...errors(...startErrors) },
      },
    },
    async (request, reply) => {
      const { name, kind, ...body } = request.body;
      const { team } = callerOf(request);
      const info = await getFunctions(context).create(team.id, name, kind, requestFromBody(body));
      context.logger.info({ function: name, team: team.id }, 'function created');
      return reply.code(201).send(functionToWire(info));
    },
  );
}
