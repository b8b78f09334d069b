import { isUtf8 } from 'node:buffer';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent, timeToWire } from '../http/schemas.ts';
import {
  answerSchema,
  deployBodyBytesMax,
  functionLogQuery,
  functionLogSchema,
  functionParams,
  functionSchema,
  functionToWire,
  invokeSchema,
  newFunctionSchema,
  newSecretsSchema,
  newVersionSchema,
  rollbackSchema,
  secretParams,
  secretsFromBody,
  versionSchema,
  versionToWire,
  wishFromBody,
} from './schemas.ts';
import { getFunctions } from './service.ts';

const tags = ['functions'];
/** Whatever starts a sandbox may fail so. */
const starting = [400, 404, 409, 413, 415, 501, 503, 504] as const;

/** Edge functions: SoulBox's own, E2B has none. */
export function addFunctionRoutes(app: ApiApp, context: ApiContext): void {
  addDeployRoutes(app, context);
  addReadRoutes(app, context);
  addSecretRoutes(app, context);
  addUseRoutes(app, context);
}

function addDeployRoutes(app: ApiApp, context: ApiContext): void {
  app.post(
    '/functions',
    {
      bodyLimit: deployBodyBytesMax,
      schema: {
        tags,
        summary: 'Create a function and deploy its first version; answers when it serves',
        body: newFunctionSchema,
        response: { 201: functionSchema, ...errors(...starting) },
      },
    },
    async (request, reply) => {
      const { name, kind, ...wish } = request.body;
      const { team } = callerOf(request);
      const info = await getFunctions(context).create(team.id, name, kind, wishFromBody(wish));
      context.logger.info({ function: name, team: team.id }, 'function created');
      return reply.code(201).send(functionToWire(info));
    },
  );

  app.post(
    '/functions/:name/versions',
    {
      bodyLimit: deployBodyBytesMax,
      schema: {
        tags,
        summary: 'Deploy a new version; the one before serves until this one does',
        params: functionParams,
        body: newVersionSchema,
        response: { 201: functionSchema, ...errors(...starting) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const info = await getFunctions(context).deploy(team.id, request.params.name, wishFromBody(request.body));
      context.logger.info({ function: info.name, team: team.id, version: info.activeVersion }, 'function deployed');
      return reply.code(201).send(functionToWire(info));
    },
  );

  app.post(
    '/functions/:name/rollback',
    {
      schema: {
        tags,
        summary: 'Serve an earlier version; environment, secrets and limits stay as they are',
        params: functionParams,
        body: rollbackSchema.nullish(),
        response: { 200: functionSchema, ...errors(...starting) },
      },
    },
    async (request) => {
      const { team } = callerOf(request);
      const info = await getFunctions(context).rollback(team.id, request.params.name, request.body?.version);
      context.logger.info({ function: info.name, team: team.id, version: info.activeVersion }, 'function rolled back');
      return functionToWire(info);
    },
  );

  app.delete(
    '/functions/:name',
    {
      schema: {
        tags,
        summary: 'Delete a function with its versions and its sandbox; key-value namespaces stay',
        params: functionParams,
        response: { 204: noContent, ...errors(404, 501, 503) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      await getFunctions(context).remove(team.id, request.params.name);
      context.logger.info({ function: request.params.name, team: team.id }, 'function deleted');
      return reply.code(204).send(null);
    },
  );
}

function addReadRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/functions',
    {
      schema: {
        tags,
        summary: 'List the functions of the team',
        response: { 200: z.array(functionSchema), ...errors(501) },
      },
    },
    async (request) => (await getFunctions(context).list(callerOf(request).team.id)).map(functionToWire),
  );

  app.get(
    '/functions/:name',
    {
      schema: {
        tags,
        summary: 'Show a function; the values of secrets are never shown',
        params: functionParams,
        response: { 200: functionSchema, ...errors(404, 501) },
      },
    },
    async (request) => functionToWire(await getFunctions(context).get(callerOf(request).team.id, request.params.name)),
  );

  app.get(
    '/functions/:name/versions',
    {
      schema: {
        tags,
        summary: 'List the versions that can be served, the newest first',
        params: functionParams,
        response: { 200: z.array(versionSchema), ...errors(404, 501) },
      },
    },
    async (request) =>
      (await getFunctions(context).listVersions(callerOf(request).team.id, request.params.name)).map(versionToWire),
  );

  app.get(
    '/functions/:name/logs',
    {
      schema: {
        tags,
        summary:
          'Log of a function: its console, its requests, and what was done to it; kept in memory, the oldest lines go first',
        params: functionParams,
        querystring: functionLogQuery,
        response: { 200: functionLogSchema, ...errors(400, 404, 501) },
      },
    },
    async (request) => {
      const { cursor, limit } = request.query;
      const { team } = callerOf(request);
      const entries = await getFunctions(context).readLog(team.id, request.params.name, cursor, limit);
      return {
        entries: entries.map(({ atMs, level, source, message }) => ({
          timestamp: shownTime(atMs),
          level,
          source,
          message,
        })),
        cursor: entries.at(-1)?.cursor ?? cursor,
      };
    },
  );
}

/** A sandbox set its clock as it liked. */
function shownTime(ms: number): string {
  return timeToWire(Number.isFinite(ms) && ms >= 0 && ms < 253_402_300_800_000 ? ms : 0);
}

function addSecretRoutes(app: ApiApp, context: ApiContext): void {
  app.put(
    '/functions/:name/secrets',
    {
      schema: {
        tags,
        summary: 'Set secrets beside those that there are; the active version is started anew with them',
        params: functionParams,
        body: newSecretsSchema,
        response: { 200: functionSchema, ...errors(...starting) },
      },
    },
    async (request) => {
      const { team } = callerOf(request);
      const secrets = secretsFromBody(request.body.secrets);
      const info = await getFunctions(context).setSecrets(team.id, request.params.name, secrets);
      context.logger.info({ function: info.name, team: team.id }, 'secrets of a function set');
      return functionToWire(info);
    },
  );

  app.delete(
    '/functions/:name/secrets/:secret',
    {
      schema: {
        tags,
        summary: 'Remove a secret; the active version is started anew without it',
        params: secretParams,
        response: { 200: functionSchema, ...errors(...starting) },
      },
    },
    async (request) => {
      const { name, secret } = request.params;
      return functionToWire(await getFunctions(context).removeSecret(callerOf(request).team.id, name, secret));
    },
  );
}

function addUseRoutes(app: ApiApp, context: ApiContext): void {
  app.post(
    '/functions/:name/invoke',
    {
      config: { room: 'own' },
      schema: {
        tags,
        summary: 'Send a function one request through the control plane',
        params: functionParams,
        body: invokeSchema.nullish(),
        response: { 200: answerSchema, ...errors(...starting) },
      },
    },
    async (request) => {
      const { body, encoding, ...call } = invokeSchema.parse(request.body ?? {});
      const { team } = callerOf(request);
      const wanted = { ...call, body: Buffer.from(body, encoding) };
      const answer = await getFunctions(context).invoke(team.id, request.params.name, wanted);
      const answered = isUtf8(answer.body) ? 'utf8' : 'base64';
      return {
        status: answer.status,
        headers: answer.headers.map(([name, value]): [string, string] => [name, value]),
        body: Buffer.from(answer.body).toString(answered),
        encoding: answered,
      } as const;
    },
  );
}
