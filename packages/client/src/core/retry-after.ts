/** No server has a reason to ask for more. A larger number is not a time to wait, but a mistake or an attack. */
const maxMs = 24 * 3600 * 1000;

/**
 * The wait that a `Retry-After` header asks for (RFC 9110, 10.2.3), in milliseconds: whole seconds, or a date. Undefined
 * for an absent or invalid header.
 */
export function parseRetryAfter(value: string | null | undefined): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d{1,10}$/.test(text)) return Math.min(Number(text) * 1000, maxMs);
  // A date has letters. `Date.parse` alone takes "-5" and "1.5" as dates.
  if (!/^[A-Za-z]{3,9},? /.test(text) || text.length > 64) return undefined;
  const at = Date.parse(text);
  if (Number.isNaN(at)) return undefined;
  return Math.min(Math.max(0, at - Date.now()), maxMs);
}
