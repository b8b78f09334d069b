/** JSON in ASCII alone: E2B's JavaScript client decodes each network chunk by itself, so that a longer character could be cut. */
export function asciiJson(value: unknown): string {
  return asciiText(JSON.stringify(value));
}

/** The same for JSON text: only its texts hold other characters, and there an escape means the same. */
export function asciiText(json: string): string {
  return json.replaceAll(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
