import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { baseUrlOf } from '../http/base-url.ts';
import { errors } from '../http/schemas.ts';
import { uploadLinkSeconds } from '../limits.ts';
import { getOwnTemplate } from '../lookup/template.ts';
import { parseUrl } from '../signing/parse-url.ts';
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
        response: { 201: linkSchema, ...errors(400, 403, 404) },
      },
    },
    async (request, reply) => {
      const { team, keyId: signerId } = callerOf(request);
      const { hash } = request.params;
      const { id: templateId } = await getOwnTemplate(context, team, request.params.templateID);
      const { base, host, path, own } = parseUrl(`/templates/${templateId}/files/${hash}`, baseUrlOf(context, request));
      const { target } = await context.signing.sign(
        { teamId: team.id, signerId },
        {
          ...{ method: 'PUT', host, path, own },
          expiresInSeconds: Math.min(uploadLinkSeconds, context.config.signedUrlMaxSeconds),
          once: false,
          limits: {},
        },
      );
      const url = base + target;
      return reply.code(201).send({ present: await findFile(context, team, hash), url });
    },
  );
}
