import type { SignedFileRequest } from '@soulbox/contract';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange } from '../exchange/exchange.ts';

const operations: Readonly<Record<string, SignedFileRequest['operation']>> = {
  GET: 'read',
  HEAD: 'read',
  POST: 'write',
  PUT: 'write',
};

export interface SignedFile {
  readonly file: SignedFileRequest;
  readonly signature: string;
}

/**
 * With `E2B_SANDBOX_URL`, a signed file URL is `<shared host>/files?path=…&signature=…` and names no sandbox. The
 * signature identifies it. Returns undefined for every other request. envd checks signature and expiry again.
 */
export function parseSignedFile(exchange: Pick<Exchange, 'method' | 'headers'>, path: string): SignedFile | undefined {
  if (!path.startsWith('/files?')) return undefined;
  const parameters = new URLSearchParams(path.slice('/files?'.length));
  const signature = parameters.get('signature');
  const operation = operations[intendedMethod(exchange)];
  if (signature === null || operation === undefined) return undefined;
  const file: SignedFileRequest = {
    path: parameters.get('path') ?? '',
    operation,
    username: parameters.get('username') ?? '',
    expiration: parameters.get('signature_expiration') ?? undefined,
  };
  return { file, signature };
}

/** A browser sends OPTIONS first, with the intended method in a header. */
function intendedMethod(exchange: Pick<Exchange, 'method' | 'headers'>): string {
  if (exchange.method !== 'OPTIONS') return exchange.method;
  return findHeader(exchange.headers, 'access-control-request-method') ?? '';
}
