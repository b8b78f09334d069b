import type { Bundle } from './bundle.ts';

/** The bundle in the member `name` of an object. Has the same precondition as membersOf. */
export function bundleFromMember(text: string, name: string): Bundle {
  // The last member of a name counts, as for JSON.parse.
  const [, bundle = ''] = membersOf(text).findLast(([member]) => member === name) ?? [];
  return membersOf(bundle).map(([type, json]) => [
    type,
    json.startsWith('"') ? (JSON.parse(json) as string) : { json },
  ]);
}

/**
 * Names and the text of their values, in source order. Empty for text that is not an object. Only for text that
 * JSON.parse has accepted: invalid JSON is not detected here.
 */
export function membersOf(text: string): [name: string, json: string][] {
  const members: [string, string][] = [];
  let at = skipSpace(text, 0);
  if (text[at] !== '{') return members;
  at = skipSpace(text, at + 1);
  while (text[at] !== '}') {
    const nameEnd = endOfText(text, at);
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = endOfValue(text, start);
    members.push([JSON.parse(text.slice(at, nameEnd)) as string, text.slice(start, end).trimEnd()]);
    at = text[end] === ',' ? skipSpace(text, end + 1) : end;
  }
  return members;
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

const isSpace = (unit: number): boolean => unit === 0x20 || (unit >= 0x09 && unit <= 0x0d);

/** The end of the value that starts at `from`: the position of the comma or bracket after it. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    switch (text[at]) {
      case '"':
        at = endOfText(text, at) - 1;
        break;
      case '{':
      case '[':
        depth++;
        break;
      case '}':
      case ']':
        if (depth === 0) return at;
        depth--;
        break;
      case ',':
        if (depth === 0) return at;
    }
  }
  return text.length;
}

/**
 * `from` is the position of the opening quote; the end is after the closing quote. A picture is one string of several
 * megabytes.
 */
function endOfText(text: string, from: number): number {
  let quote = text.indexOf('"', from + 1);
  while (isEscaped(text, quote)) quote = text.indexOf('"', quote + 1);
  return quote + 1;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === '\\') backslashes++;
  return backslashes % 2 === 1;
}
