import type { Output } from '../kernel.ts';

/** The output that a line of the kernel describes. Undefined for a line without output. */
export function outputFromWords([type, ...words]: readonly string[]): Output | undefined {
  const [first = '', second = '', third = ''] = words.map((word) => Buffer.from(word, 'base64').toString('utf8'));
  switch (type) {
    case 'stdout':
    case 'stderr':
      return { type, text: first };
    case 'result':
      return { type: 'result', isMain: true, bundle: [['text/plain', first]] };
    case 'error':
      return { type: 'error', name: first, value: second, traceback: third };
    default:
      return undefined;
  }
}

/** Encodes text as one word of a line. */
export const encode = (text: string): string => Buffer.from(text).toString('base64');
