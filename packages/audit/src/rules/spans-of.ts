import type { Span } from '../span.ts';

/** Where a form with the flag `g` is in a text. */
export function spansOf(form: RegExp, text: string): Span[] {
  return [...text.matchAll(form)].map(({ index, 0: { length } }) => ({ from: index, to: index + length }));
}
