import { z } from 'zod';
import { SoulBoxError } from '@soulbox/base';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { objectCacheFiguresSchema } from '../meters/object-cache-figures.ts';
import { callRunner } from '../runner/call.ts';
import { volumeStorageSchema } from '../volume-service/volume-service.ts';
import { volumeStorageOf } from '../volumes/storage.ts';

const storageSchema = z.object({
  state: z.string(),
  reason: z.string(),
  wanted: z.number(),
  uploaded: z.number(),
  pendingBytes: z.number(),
  uploads: z.number(),
  uploadedBytes: z.number(),
  failures: z.number(),
  localBytes: z.number(),
  evictions: z.number(),
  evictedBytes: z.number(),
  fetches: z.number(),
  fetchedBytes: z.number(),
  fetchFailures: z.number(),
  notUploaded: z.array(z.object({ what: z.string(), id: z.string(), state: z.string(), reason: z.string() })),
  /** Of the contents of volumes. */
  volumes: volumeStorageSchema,
  /** Absent without a level of the cache, and while its process is being restarted. */
  cache: objectCacheFiguresSchema.optional(),
});

export function addStorageRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/host/storage',
    {
      config: { auth: 'operator' },
      schema: {
        // With the operator's token, as `/metrics` of the server.
        hide: true,
        tags: ['host'],
        summary: 'What is in the object store of sleeping sandboxes and of volumes (docs/storage.md)',
        response: { 200: storageSchema, ...errors(501, 503) },
      },
    },
    async (_request, reply) => {
      const { figures } = await callRunner((options) => context.runner.getStorage({}, options));
      if (figures === undefined)
        throw new SoulBoxError('not_implemented', 'This server has no object store (SOULBOX_STORAGE).');
      const { pendingBytes, uploads, uploadedBytes, failures, state, reason, wanted, uploaded } = figures;
      const notUploaded = figures.notUploaded.map(({ what, id, state: outcome, reason: why }) => ({
        ...{ what, id, state: outcome, reason: why },
      }));
      const cache = await context.readObjectCache();
      return await reply.send({
        ...(cache === undefined ? {} : { cache }),
        ...{ state, reason, wanted, uploaded, notUploaded },
        ...{ pendingBytes: Number(pendingBytes), uploads: Number(uploads) },
        ...{ uploadedBytes: Number(uploadedBytes), failures: Number(failures) },
        ...{ localBytes: Number(figures.localBytes), evictions: Number(figures.evictions) },
        ...{ evictedBytes: Number(figures.evictedBytes), fetches: Number(figures.fetches) },
        ...{ fetchedBytes: Number(figures.fetchedBytes), fetchFailures: Number(figures.fetchFailures) },
        volumes: await volumeStorageOf(context),
      });
    },
  );
}
