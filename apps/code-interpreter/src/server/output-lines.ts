import type { Output } from '../kernels/kernel.ts';
import { resultLine } from './result-line.ts';

/** Limit of the text in one line, in characters: a client parses whole lines. */
const maxTextLength = 64 * 1024;

/** The lines of an output, as objects or as ASCII JSON. */
export function linesOf(output: Output, now: Date): (object | string)[] {
  switch (output.type) {
    case 'started':
      return [];
    case 'stdout':
    case 'stderr': {
      const timestamp = now.toISOString();
      return pieces(output.text).map((text) => ({ type: output.type, text, timestamp }));
    }
    case 'result':
      return [resultLine(output.bundle, output.isMain)];
    case 'error': {
      const { name, value, traceback } = output;
      return [{ type: 'error', name, value, traceback }];
    }
  }
}

/** Splits text without cutting a character in two: a client may decode each piece before it joins them. */
function pieces(text: string): string[] {
  const found: string[] = [];
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + maxTextLength, text.length);
    const last = text.charCodeAt(end - 1);
    if (end < text.length && last >= 0xd800 && last <= 0xdbff) end--;
    found.push(text.slice(start, end));
    start = end;
  }
  return found;
}
