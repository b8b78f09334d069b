import { PassThrough } from 'node:stream';
import { z } from 'zod';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { ApiContext, StageBackup } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';

const streamType = 'application/x-ndjson';

export function addStageBackupRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/host/backup-stage',
    {
      config: { auth: 'operator' },
      schema: {
        // Only for the command line on the server's host, not for clients.
        hide: true,
        tags: ['host'],
        summary:
          "Save every sandbox for a backup. For `soulbox backup create` on the server's host, with the operator's token",
        description:
          'A stream of lines. `{"what", "id"}` reports something that was saved; with `leftOut`, something that could not be saved ' +
          'and why. The last line is `{"done": true}` or `{"error"}`. Disconnecting stops the backup.',
        response: {
          200: { description: 'The stream of lines.', content: { [streamType]: { schema: z.string() } } },
          ...errors(501, 503),
        },
      },
    },
    async (_request, reply) => {
      const { stageBackup } = context;
      if (stageBackup === undefined)
        throw new SoulBoxError('not_implemented', 'Backups are not available on this server.');
      const left = new AbortController();
      reply.raw.once('close', () => {
        if (!reply.raw.writableFinished) left.abort(new Error('the client disconnected'));
      });
      const lines = new PassThrough();
      void write(context, stageBackup, lines, left.signal);
      return await reply.type(streamType).send(lines as never);
    },
  );
}

/** Never throws. */
async function write(
  { logger }: ApiContext,
  stageBackup: StageBackup,
  lines: PassThrough,
  left: AbortSignal,
): Promise<void> {
  const say = (line: object): boolean => lines.write(`${JSON.stringify(line)}\n`);
  try {
    await stageBackup(say, left);
    say({ done: true });
  } catch (thrown) {
    const { code, reason, message } = errorFromUnknown(thrown);
    if (code === 'internal') logger.error({ err: thrown }, 'backup failed');
    say({ error: { reason, message } });
  }
  lines.end();
}
