/** Text from inside a sandbox for a message that may end up on a terminal: no control characters, which could steer it. */
export function printable(text: string): string {
  return text.replace(/[^\P{C}\n\t]/gu, '·');
}
