import { once } from 'node:events';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { reasons, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { readMetricsToken } from '@soulbox/box/credentials';
import { environment } from '../../config.ts';

const lineSchema = z.union([
  z.object({ what: z.enum(['sandbox', 'snapshot']), id: z.string(), leftOut: z.string().optional() }),
  z.object({ done: z.literal(true) }),
  z.object({ error: z.object({ reason: z.string(), message: z.string() }) }),
]);

interface Staged {
  readonly what: 'sandbox' | 'snapshot';
  readonly id: string;
  readonly leftOut?: string;
}

/**
 * Makes the server of the data folder save its whole state. Throws the server's error, and `shutting_down` when the
 * server ends meanwhile.
 */
export async function fillStage(
  dataDirectory: string,
  report: (staged: Staged) => void,
  signal: AbortSignal,
): Promise<void> {
  const answer = await ask(dataDirectory, signal);
  if (answer.statusCode === 401)
    throw new SoulBoxError(
      'unauthorized',
      'The server has a different operator token. Set SOULBOX_METRICS_TOKEN to the value that the server has.',
    );
  if (answer.statusCode !== 200)
    throw new SoulBoxError('internal', `The server refused to make a backup: ${(await text(answer)).slice(0, 1000)}`);
  for await (const line of createInterface({ input: answer })) {
    const said = lineSchema.parse(JSON.parse(line));
    if ('done' in said) return;
    if ('error' in said) throw new SoulBoxError(reasonFrom(said.error.reason), said.error.message);
    const { leftOut, ...one } = said;
    report(leftOut === undefined ? one : { ...one, leftOut });
  }
  throw new SoulBoxError('shutting_down', 'The server stopped before the backup was complete.');
}

/** Uses the socket in the data folder, which only root can reach, and bypasses the gateway. */
async function ask(dataDirectory: string, signal: AbortSignal): Promise<IncomingMessage> {
  const token = await readMetricsToken(dataDirectory, environment['SOULBOX_METRICS_TOKEN'] ?? '');
  const asked = request({
    socketPath: join(dataDirectory, 'run', 'api.sock'),
    method: 'POST',
    path: '/host/backup-stage',
    headers: { authorization: `Bearer ${token?.reveal() ?? ''}` },
    signal,
  });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  return answer;
}

function reasonFrom(word: string): Reason {
  return Object.hasOwn(reasons, word) ? (word as Reason) : 'internal';
}
