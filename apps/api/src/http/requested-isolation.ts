import { SoulBoxError } from '@soulbox/base';
import { headers, isIsolation, isolationMetadataKey, isolations } from '@soulbox/contract';
import type { FastifyRequest } from 'fastify';
import { callerOf } from '../auth/authenticate.ts';
import { quoteForError } from './quote-for-error.ts';

interface IsolationRequest {
  readonly isolation?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/**
 * The isolation that a request specifies: in the field `isolation`, in a header or in the metadata. The last two are
 * for the official clients. Otherwise the isolation of the key. Empty: the template or the server decides. Throws
 * `bad_request` for an unknown isolation and for sources that contradict each other.
 */
export function requestedIsolation(request: FastifyRequest, body: IsolationRequest): string {
  const said = [
    { source: 'The field isolation', value: body.isolation },
    { source: `The header ${headers.isolation}`, value: headerOf(request) },
    { source: `The metadata ${isolationMetadataKey}`, value: body.metadata?.[isolationMetadataKey] },
  ].flatMap(({ source, value }) => (value === undefined ? [] : [{ source, value }]));
  for (const { source, value } of said)
    if (!isIsolation(value))
      throw new SoulBoxError(
        'bad_request',
        `${source}: ${quoteForError(value)} is not an isolation. Use ${isolations.join(' or ')}.`,
      );
  const [first] = said;
  if (first === undefined) return callerOf(request).isolation;
  const other = said.find(({ value }) => value !== first.value);
  if (other === undefined) return first.value;
  throw new SoulBoxError(
    'bad_request',
    `${first.source} asks for ${first.value}, but ${other.source} asks for ${other.value}. Choose one isolation.`,
  );
}

function headerOf(request: FastifyRequest): string | undefined {
  const value = request.headers[headers.isolation];
  return Array.isArray(value) ? value.join(', ') : value;
}
