import { SoulBoxError } from '@soulbox/base';
import { envdPort } from '@soulbox/contract';

/** envd's `/files`: a download and an upload. Everything else of envd requires its access token. */
const methods: readonly string[] = ['GET', 'POST'];

/** Throws `forbidden` unless a request may be signed for this port: at envd's, only one file can be signed. */
export function checkPort(port: number, request: { method: string; path: string; names: readonly string[] }): void {
  if (port !== envdPort) return;
  if (request.path !== '/files' || !methods.includes(request.method))
    throw new SoulBoxError('forbidden', 'Of envd, only GET and POST of /files can be signed.');
  if (new Set(request.names).size < request.names.length)
    throw new SoulBoxError('bad_request', 'A signed URL of a file must not have a parameter more than once.');
  if (request.names.includes('signature') || request.names.includes('signature_expiration'))
    throw new SoulBoxError('bad_request', "A request must not have two signatures, one of them E2B's.");
}
