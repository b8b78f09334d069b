import { SoulBoxError } from '@soulbox/base';
import { isOnThisHost } from '../this-host.ts';

/** Where a CDN or a caching proxy answers for the store. */
export interface HttpBase {
  readonly origin: string;
  /** Empty, or it begins with `/`. It never ends with one. */
  readonly path: string;
}

/** Throws `config_invalid`. */
export function parseHttpBase(text: string): HttpBase {
  const url = text.length > 1024 ? null : URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw invalid('It must be an https or http URL.');
  if (url.username !== '' || url.password !== '') throw invalid('It must not contain credentials.');
  if (url.hash !== '') throw invalid('It must not have a fragment (#).');
  const known = [...url.searchParams].every(([name, value]) => name === 'insecure' && value === 'true');
  if (!known) throw invalid('Its only parameter is insecure=true.');
  if (url.protocol === 'http:' && !isOnThisHost(url.hostname) && !url.searchParams.has('insecure'))
    throw invalid('It must be https, unless insecure=true accepts that anyone on the way reads and changes all.');
  return { origin: url.origin, path: url.pathname.replace(/\/+$/, '') };
}

/** The URL under which it answers for a signed URL of the store. The signature stays valid for the store itself. */
export function rewriteSignedUrl(signed: string, { origin, path }: HttpBase): string {
  const { pathname, search } = new URL(signed);
  return `${origin}${path}${pathname}${search}`;
}

function invalid(why: string): SoulBoxError {
  return new SoulBoxError('config_invalid', `The URL of the HTTP cache is not valid. ${why}`);
}
