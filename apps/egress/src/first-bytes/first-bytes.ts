import { helloMaxBytes, parseClientHello } from './client-hello.ts';
import { headMaxBytes, parseRequestHead } from './request-head.ts';

/** What the first bytes of a connection say about it. */
export type FirstBytes =
  | { readonly protocol: 'tls'; readonly name: string | undefined }
  | { readonly protocol: 'http'; readonly name: string | undefined }
  /** Anything else, also HTTP/2 without TLS, and TLS or HTTP that cannot be read with certainty. */
  | { readonly protocol: 'other' };

/** Maximum bytes that are kept to find it out. */
export const firstBytesMax = Math.max(helloMaxBytes, headMaxBytes);

/** Undefined: more bytes are needed. */
export function parseFirstBytes(bytes: Buffer): FirstBytes | undefined {
  if (bytes.length === 0) return undefined;
  if (bytes[0] === 22) {
    const hello = parseClientHello(bytes);
    if (hello.state === 'incomplete') return undefined;
    return hello.state === 'bad' ? { protocol: 'other' } : { protocol: 'tls', name: hello.name };
  }
  if (!/^[A-Za-z][A-Za-z-]{0,31}(?: |$)/.test(bytes.toString('latin1', 0, 33))) return { protocol: 'other' };
  const head = parseRequestHead(bytes);
  if (head.state === 'incomplete') return undefined;
  return head.state === 'bad' ? { protocol: 'other' } : { protocol: 'http', name: head.name };
}
