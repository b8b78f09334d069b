import type { Span } from '../span.ts';
import { spansOf } from './spans-of.ts';

/**
 * Telephone numbers. A number without a country code or a leading zero is found only in the groups that its country
 * writes: any other digits may be an amount, a time or a version.
 */
const phoneForms: readonly RegExp[] = [
  // With a country code (E.164).
  /(?<![\w+])\+[1-9]\d{0,2}(?:[ ./-]?\(?\d{1,5}\)?){2,6}(?!\w)/g,
  /(?<![\w.+-])00[1-9]\d{0,2}[ ./-](?:\(?\d{1,5}\)?[ ./-]?){2,6}(?!\w)/g,
  // North America: neither area nor exchange begins with 0 or 1.
  /(?<![\w.+-])(?:1[ .-])?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}([ .-]))[2-9]\d{2}[ .-]\d{4}(?![\w-]|\.\d)/g,
  // With the zero of calls inside a country, in pairs (France), in three groups (United Kingdom, Japan, Australia), or two.
  /(?<![\w.+-])0[1-9](?:([ .-])\d{2})(?:\1\d{2}){3}(?![\w-]|\.\d)/g,
  /(?<![\w.+-])(?:0[1-9]\d{0,3}([ -])\d{3,4}\1|\(0\d{1,4}\) ?\d{3,4}[ -])\d{3,4}(?![\w-]|\.\d)/g,
  /(?<![\w.+-])(?:0[1-9]\d{1,3}|\(0[1-9]\d{1,3}\))[ /]\d{5,8}(?![\w-]|\.\d)/g,
  // Brazil.
  /(?<![\w.+-])\(\d{2}\) ?9?\d{4}-\d{4}(?!\w)/g,
  /(?<=\btel:)[\d+().-]{5,24}/gi,
];

export function* phoneNumbersIn(text: string): Generator<Span> {
  for (const form of phoneForms)
    for (const span of spansOf(form, text)) if (hasPhoneLength(text.slice(span.from, span.to))) yield span;
}

function hasPhoneLength(text: string): boolean {
  const digits = text.replace(/^00/, '').replaceAll(/\D/g, '').length;
  return digits >= 8 && digits <= 15;
}
