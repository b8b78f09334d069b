import type { IncomingHttpHeaders } from 'node:http';

/**
 * The result of a conditional request (RFC 9110 section 13). Only dates are compared, because files have no entity tags
 * here.
 */
export type Condition = 'send' | 'not_modified' | 'precondition_failed';

export function checkConditions(headers: IncomingHttpHeaders, modifiedMs: number): Condition {
  const modified = wholeSeconds(modifiedMs);
  const unmodifiedSince = parseDate(headers['if-unmodified-since']);
  const { 'if-match': match, 'if-none-match': noneMatch } = headers;
  if (match !== undefined ? match.trim() !== '*' : unmodifiedSince !== undefined && modified > unmodifiedSince) {
    return 'precondition_failed';
  }
  if (noneMatch !== undefined) return noneMatch.trim() === '*' ? 'not_modified' : 'send';
  const modifiedSince = parseDate(headers['if-modified-since']);
  return modifiedSince !== undefined && modified <= modifiedSince ? 'not_modified' : 'send';
}

/** Whether `Range` may be used: `If-Range` is absent or equals the file's date. */
export function rangeAllowed(headers: IncomingHttpHeaders, modifiedMs: number): boolean {
  const ifRange = headers['if-range'];
  return typeof ifRange !== 'string' || parseDate(ifRange) === wholeSeconds(modifiedMs);
}

/** Dates in HTTP have no fractions. */
function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}

function parseDate(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? '');
  return Number.isNaN(ms) ? undefined : ms;
}
