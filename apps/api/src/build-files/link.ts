import type { FastifyRequest } from 'fastify';
import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { uploadLinkMs } from '../limits.ts';
import { getOwnTemplate } from '../lookup/template.ts';
import { findFile } from './find.ts';
import { fileHashSchema } from './hash-schema.ts';

export const fileParams = z.object({ templateID: z.string(), hash: fileHashSchema });

const linkSchema = z
  .object({
    present: z.boolean().describe('Whether the team has already uploaded this archive.'),
    url: z
      .string()
      .describe(
        'Upload a tar archive here with PUT and Content-Length, gzipped or not, within an hour. No API key is required.',
      ),
  })
  .meta({ id: 'TemplateBuildFileUpload' });

export function addFileLinkRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/templates/:templateID/files/:hash',
    {
      schema: {
        tags: ['templates'],
        summary: "Get the upload URL for the files of a COPY step; the hash is the client's digest of the files",
        params: fileParams,
        response: { 201: linkSchema, ...errors(400, 404) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { hash } = request.params;
      const { id: templateId } = await getOwnTemplate(context, team, request.params.templateID);
      const expiresAt = context.clock.now() + uploadLinkMs;
      const signature = context.uploadSigner.sign({ teamId: team.id, templateId, hash, expiresAt });
      const query = new URLSearchParams({ expires: String(expiresAt), signature });
      const url = `${baseUrlOf(context, request)}/templates/${templateId}/files/${hash}?${query.toString()}`;
      return reply.code(201).send({ present: await findFile(context, team, hash), url });
    },
  );
}

const hostForm = /^[a-z0-9._-]+(:\d{1,5})?$|^\[[0-9a-f:.]+\](:\d{1,5})?$/i;

/** The address at which the caller reached the gateway, unless the operator has configured another one. */
function baseUrlOf({ config }: ApiContext, request: FastifyRequest): string {
  if (config.apiUrl !== '') return config.apiUrl;
  const { host = '', 'x-forwarded-proto': scheme } = request.headers;
  if (!hostForm.test(host)) throw new SoulBoxError('bad_request', 'The Host header does not name a host.');
  return `${scheme === 'https' ? 'https' : 'http'}://${host}`;
}
