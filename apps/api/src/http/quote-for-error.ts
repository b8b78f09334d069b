/** Formats a caller's value for an error message: in quotes, without control characters, at most 64 characters. */
export function quoteForError(text: string): string {
  const short = text.length > 64 ? `${text.slice(0, 64)}…` : text;
  return `"${short.toWellFormed().replace(/[^\P{C}]/gu, '?')}"`;
}
