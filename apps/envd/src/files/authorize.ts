import type { IncomingHttpHeaders } from 'node:http';
import { constantTimeEqual, SoulBoxError } from '@soulbox/base';
import { fileSignature, headers as headerNames } from '@soulbox/contract';
import type { Settings } from '../settings.ts';

/** Authorizes a file request by the access token in its header or by a signature in its URL. Throws unauthorized. */
export function authorizeFileRequest(
  settings: Settings,
  headers: IncomingHttpHeaders,
  query: URLSearchParams,
  operation: 'read' | 'write',
  nowMs: number = Date.now(),
): void {
  const token = settings.accessToken;
  if (token === undefined) return;
  const header = headers[headerNames.accessToken];
  if (typeof header === 'string' && header !== '') {
    if (token.equals(header)) return;
    throw new SoulBoxError('unauthorized', 'access token present in header but does not match');
  }
  const signature = query.get('signature') ?? '';
  if (signature === '') throw new SoulBoxError('unauthorized', 'missing signature query parameter');
  const expiration = query.get('signature_expiration') ?? undefined;
  const signed = { path: query.get('path') ?? '', operation, username: query.get('username') ?? '', expiration };
  if (!constantTimeEqual(fileSignature(signed, token.reveal()), signature)) {
    throw new SoulBoxError('unauthorized', 'invalid signature');
  }
  if (expiration !== undefined && !(Number(expiration) * 1000 >= nowMs)) {
    throw new SoulBoxError('unauthorized', 'signature is already expired');
  }
}
