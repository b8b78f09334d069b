import type { Output } from '../kernels/kernel.ts';
import { resultLine } from './result-line.ts';

/** Characters of one line's text: a client parses line by line. */
const maxTextLength = 64 * 1024;

/** As objects, or as JSON in ASCII. */
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

/** Never cuts a character in two: a client may join pieces only after decoding them. */
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
