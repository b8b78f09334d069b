import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { reasons, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import type { StagedPart } from '@soulbox/box/backup';
import { askHost } from '../../server/ask-host.ts';

const lineSchema = z.union([
  z.object({ what: z.enum(['sandbox', 'snapshot', 'volume']), id: z.string(), leftOut: z.string().optional() }),
  z.object({ done: z.literal(true) }),
  z.object({ error: z.object({ reason: z.string(), message: z.string() }) }),
]);

/**
 * Makes the server of the data folder save its whole state. Throws the server's error, and `shutting_down` when the
 * server ends meanwhile.
 */
export async function fillStage(
  dataDirectory: string,
  report: (staged: StagedPart) => void,
  signal: AbortSignal,
): Promise<void> {
  const answer = await askHost(dataDirectory, { method: 'POST', path: '/host/backup-stage' }, signal);
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

function reasonFrom(word: string): Reason {
  return Object.hasOwn(reasons, word) ? (word as Reason) : 'internal';
}
