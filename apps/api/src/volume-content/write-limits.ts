import { holdHostRoom } from '@soulbox/contract/hold-host-room';
import type { ApiContext } from '../context.ts';
import { mib } from '../quotas/budgets.ts';
import { teamBytesOf } from '../volumes/team-bytes.ts';
import type { ContentRequest } from './content-call.ts';

/** Space that is reserved at once for a body whose length is not known. */
const stepBytes = 64 * mib;

/** What the volume service must not exceed: bytes of the volume, and of all volumes of the team. */
export async function limitsOfWrite(
  context: ApiContext,
  { teamId, sizeMb }: ContentRequest,
): Promise<{ sizeBytes: number | undefined; teamBytes: number | undefined }> {
  return {
    sizeBytes: sizeMb === undefined ? undefined : sizeMb * mib,
    teamBytes: await teamBytesOf(context, teamId),
  };
}

/**
 * The bytes of a body, for which space on the disk is reserved at the runner until the caller disposes `held`: sandboxes
 * use the same disk. Throws `disk_full` and `runner_unavailable`.
 */
export async function* withHostRoom(
  { runner }: ApiContext,
  body: AsyncIterable<Uint8Array>,
  { length, held }: { readonly length: number | undefined; readonly held: DisposableStack },
): AsyncGenerator<Uint8Array> {
  const hold = async (bytes: number): Promise<number> => {
    held.use(await holdHostRoom(runner, { bytes, what: 'The file' }));
    return bytes;
  };
  let left = length === undefined ? 0 : await hold(length);
  for await (const chunk of body) {
    if (length === undefined && chunk.length > left) left += await hold(Math.max(stepBytes, chunk.length));
    left -= chunk.length;
    yield chunk;
  }
}
