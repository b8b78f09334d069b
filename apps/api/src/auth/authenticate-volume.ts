import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';
import { volumeTokenPrefix } from '../signing/volume-tokens.ts';
import type { VolumeTokenHolder } from '../signing/volume-tokens.ts';

/**
 * Who presents a volume's token. Undefined for a request without one: an API key comes first. Throws `unauthorized`,
 * `limit_exceeded`, and `volume_not_found` for the token of another volume than the path names.
 */
export async function findVolumeTokenHolder(
  request: FastifyRequest,
  { volumeTokens }: ApiContext,
): Promise<VolumeTokenHolder | undefined> {
  if (request.headers[headers.apiKey] !== undefined) return undefined;
  const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (token?.startsWith(volumeTokenPrefix) !== true) return undefined;
  const holder = await volumeTokens.verify(token);
  const named = (request.params as Readonly<Record<string, string>>)['volumeID'] ?? '';
  if (holder.volumeId !== named)
    throw new SoulBoxError('volume_not_found', 'The token is for another volume than the path names.');
  return holder;
}
