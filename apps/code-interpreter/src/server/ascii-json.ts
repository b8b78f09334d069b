/** JSON in ASCII alone: E2B's JavaScript client decodes each network chunk by itself, so that a longer character could be cut. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
