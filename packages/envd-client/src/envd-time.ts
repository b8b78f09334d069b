import { callFields, noteSpan } from '@soulbox/base';

/** The trace of the current call, for envd. Nothing else of the call leaves the host. */
export function findTraceHeader(): { readonly traceparent?: string } {
  const { traceparent } = callFields();
  return traceparent === undefined ? {} : { traceparent };
}

const form = /^envd;dur=(\d{1,9}(?:\.\d{1,3})?)$/;

/**
 * Notes the part of a call that envd says it needed, as a span of its own. envd sends no spans: a sandbox reaches no
 * collector. It is hostile, so its part is never longer than the call, and lies in the middle of it.
 */
export function noteEnvdTime(
  path: string,
  rawHeaders: readonly string[],
  { startedAt, tookMs }: { readonly startedAt: number; readonly tookMs: number },
): void {
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'server-timing');
  const [, text] = form.exec(at < 0 ? '' : (rawHeaders[at + 1] ?? '')) ?? [];
  if (text === undefined) return;
  const ownMs = Math.min(Number(text), tookMs);
  const beganAt = startedAt + (tookMs - ownMs) / 2;
  noteSpan(
    { name: `POST ${path}`, kind: 'server', attributes: { 'soulbox.part': 'envd' } },
    { startedAt: beganAt, endedAt: beganAt + ownMs },
  );
}
