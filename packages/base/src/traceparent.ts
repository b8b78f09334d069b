/** The place of a span in a trace (W3C Trace Context). */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Whether the caller records the trace. */
  readonly isSampled: boolean;
}

/** A later version may add fields. A longer value is not one of ours to keep. */
const lengthMax = 256;
const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const zeros = /^0+$/;

/**
 * Reads the header `traceparent`. Undefined for a value that https://www.w3.org/TR/trace-context/#traceparent-header
 * does not allow, which must be ignored. Of a later version only the fields of version 00 count.
 */
export function findTraceContext(value: string | readonly string[] | null | undefined): TraceContext | undefined {
  if (typeof value !== 'string' || value.length > lengthMax) return undefined;
  const [, version, traceId = '', spanId = '', flags = '', more] = form.exec(value) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return undefined;
  if (zeros.test(traceId) || zeros.test(spanId)) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function traceparentOf({ traceId, spanId, isSampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`;
}
