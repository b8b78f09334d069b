/**
 * JSON with only ASCII characters. E2B's JavaScript client decodes each network chunk separately, so a multi-byte
 * character could be cut.
 */
export function asciiJson(value: unknown): string {
  return asciiText(JSON.stringify(value));
}

/** The same for JSON text. Only its strings can contain other characters, and an escape there has the same meaning. */
export function asciiText(json: string): string {
  return json.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
