/**
 * Replaces control characters in text from inside a sandbox. The text may be shown on a terminal, which control
 * characters could steer.
 */
export function printable(text: string): string {
  return text.replace(/[^\P{C}\n\t]/gu, '·');
}
