import type { Bundle, JsonText } from '../kernels/bundle.ts';
import { asciiText } from './ascii-json.ts';

/** The wire names of MIME types; all others are under `extra`. */
const namesByType: ReadonlyMap<string, string> = new Map([
  ['text/plain', 'text'],
  ['text/html', 'html'],
  ['text/markdown', 'markdown'],
  ['image/svg+xml', 'svg'],
  ['image/png', 'png'],
  ['image/jpeg', 'jpeg'],
  ['application/pdf', 'pdf'],
  ['text/latex', 'latex'],
  ['application/json', 'json'],
  ['application/javascript', 'javascript'],
  ['e2b/data', 'data'],
  ['e2b/chart', 'chart'],
]);
const base64Names = new Set(['png', 'jpeg', 'pdf']);

/** A value as a line of the stream, in ASCII. JSON is copied exactly as the kernel wrote it. */
export function resultLine(bundle: Bundle, isMain: boolean): string {
  const formats: string[] = [];
  const extra: string[] = [];
  for (const [type, value] of bundle) {
    const name = namesByType.get(type);
    if (name === undefined) extra.push(member(type, value));
    else formats.push(member(name, typeof value === 'string' ? formatted(name, value) : value));
  }
  const members = ['"type":"result"', ...formats];
  if (extra.length > 0) members.push(`"extra":{${extra.join(',')}}`);
  members.push(`"is_main_result":${isMain}`);
  return asciiText(`{${members.join(',')}}`);
}

function member(name: string, value: string | JsonText): string {
  // In JSON a line break can only be between values. It would end the line of the stream.
  const json = typeof value === 'string' ? JSON.stringify(value) : value.json.replaceAll(/[\r\n]/g, ' ');
  return `${JSON.stringify(name)}:${json}`;
}

function formatted(name: string, value: string): string {
  if (name === 'text') return withoutQuotes(value);
  return base64Names.has(name) ? value.replaceAll(/\s/g, '') : value;
}

/** Removes one pair of quotes around the whole text: most languages show a string with its quotes. */
function withoutQuotes(text: string): string {
  const [first] = text;
  const isQuoted = text.length >= 2 && (first === '"' || first === "'") && text.endsWith(first);
  return isQuoted ? text.slice(1, -1) : text;
}
