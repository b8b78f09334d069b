import type { EgressReason } from '@soulbox/contract';
import { EgressRefusal } from '../judge/refusal.ts';

/** What the sandbox gets instead of an answer of the host. */
export interface RefusalAnswer {
  readonly status: number;
  readonly reason: EgressReason | undefined;
  readonly headers: readonly string[];
  readonly body: string;
}

/** `message` contains no values of placeholders and nothing that a server sent. */
export function refusalAnswer(status: number, reason: EgressReason | undefined, message: string): RefusalAnswer {
  const body = `${JSON.stringify({ code: status, message, reason: reason ?? 'bad_request' })}\n`;
  const headers = [
    'content-type',
    'application/json',
    'cache-control',
    'no-store',
    'x-soulbox-egress',
    reason ?? 'bad_request',
  ];
  return { status, reason, headers: [...headers, 'content-length', String(Buffer.byteLength(body))], body };
}

/** For what failed on the way to the host. */
export function failureAnswer(thrown: unknown): RefusalAnswer {
  const refusal = thrown instanceof EgressRefusal ? thrown : new EgressRefusal('upstream_failed');
  return refusalAnswer(refusal.reason === 'secret_host_refused' ? 403 : 502, refusal.reason, refusal.message);
}
