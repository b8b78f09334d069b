import type { IncomingMessage } from 'node:http';
import { randomId, SoulBoxError } from '@soulbox/base';
import { holdHostRoom } from '@soulbox/contract/hold-host-room';
import type { TeamRecord } from '@soulbox/storage';
import { callerOf } from '../auth/authenticate.ts';
import { keySignalOf } from '../auth/key-signal.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { arriving } from '../http/arriving.ts';
import { getOwnTemplate } from '../lookup/template.ts';
import { raiseTeam } from '../quotas/budgets.ts';
import { storedHintSeconds } from '../quotas/quotas.ts';
import { fileKeyOf } from './find.ts';
import { fileParams } from './link.ts';

/**
 * Receives an archive and stores it unchanged and encrypted; it is unpacked only inside a sandbox. The signature in the URL replaces
 * the key. Not in the OpenAPI document, because clients use the URL that they received.
 */
export function addFileUploadRoute(app: ApiApp, context: ApiContext): void {
  void app.register((scope: ApiApp, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, parsed) => parsed(null, payload));
    scope.put(
      '/templates/:templateID/files/:hash',
      {
        config: { auth: 'signature', body: 'upload', room: 'own' },
        schema: { hide: true, params: fileParams },
      },
      async (request, reply) => {
        const { templateID, hash } = request.params;
        const { team } = callerOf(request);
        await getOwnTemplate(context, team, templateID);
        context.reserve.check();
        const sizeBytes = lengthOf(context, request.headers['content-length']);
        const ended = keySignalOf(request, reply, context);
        const end = (): void => void request.raw.destroy(ended.reason as Error);
        ended.addEventListener('abort', end, { once: true });
        await takeFile(context, team, { hash, sizeBytes, body: request.raw });
        return reply.code(204).send();
      },
    );
    done();
  });
}

/** Throws `bad_request` for an upload without a length, and `body_too_large`. */
function lengthOf({ config }: ApiContext, header: string | undefined): number {
  if (header === undefined) throw new SoulBoxError('bad_request', 'An upload must have a Content-Length header.');
  const sizeBytes = Number(header);
  if (sizeBytes <= config.buildFileMaxMb * 1024 * 1024) return sizeBytes;
  throw new SoulBoxError('body_too_large', `The archive is larger than ${config.buildFileMaxMb} MiB.`);
}

interface Upload {
  readonly hash: string;
  readonly sizeBytes: number;
  readonly body: IncomingMessage;
}

/** A repeated upload of the same file replaces the previous one completely. Throws `limit_exceeded`, `disk_full`. */
async function takeFile(context: ApiContext, team: TeamRecord, { hash, sizeBytes, body }: Upload): Promise<void> {
  const { buildFiles } = context.records;
  const id = randomId(20);
  const limits = await context.quotas.limitsOf(team.id);
  await context.quotas.checkStorage(team.id, limits, sizeBytes);
  const limitMb = limits.upload_mb;
  if (!(await buildFiles.reserve({ id, teamId: team.id, hash, sizeBytes }, limitMb * 1024 * 1024)))
    throw new SoulBoxError(
      'limit_exceeded',
      `The build files of the team would exceed the limit of ${limitMb} MiB. Delete templates or retry later. ${raiseTeam('upload_mb')}`,
      { retryAfterSeconds: storedHintSeconds },
    );
  try {
    using _room = await holdHostRoom(context.runner, { bytes: sizeBytes, what: 'The archive' });
    await context.files.put(fileKeyOf(team, hash), arriving(body));
    await buildFiles.complete(id, context.clock.now());
    context.logger.info({ team: team.id, hash, sizeBytes }, 'build file uploaded');
  } finally {
    await buildFiles.abandon(id);
  }
}
