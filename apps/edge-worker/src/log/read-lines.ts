import type { Readable } from 'node:stream';
import { functionLogLineMax } from '@soulbox/contract/functions';

/** Reads the lines of a stream. A line without an end is passed on in pieces, so that it does not grow in memory. */
export function readLines(stream: Readable, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const parts = (rest + text).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) if (part !== '') take(part);
    if (rest.length > functionLogLineMax * 2) {
      take(rest);
      rest = '';
    }
  });
  stream.on('end', () => {
    if (rest !== '') take(rest);
  });
  stream.on('error', () => undefined);
}
