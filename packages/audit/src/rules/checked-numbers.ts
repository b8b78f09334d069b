import type { Span } from '../span.ts';

/** Numbers with a checksum or a fixed structure: cards, bank accounts, US social security numbers. */

/** First digits and lengths of cards, by network (ISO/IEC 7812; the networks publish their ranges). */
const cardForms: readonly (readonly [start: RegExp, lengths: readonly number[]])[] = [
  [/^4/, [13, 16, 19]],
  [/^(?:5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720)/, [16]],
  [/^3[47]/, [15]],
  [/^3(?:0[0-5]|095|6|[89])/, [14, 16, 19]],
  [/^35(?:2[89]|[3-8])/, [16, 17, 18, 19]],
  [/^6(?:011|4[4-9]|5)/, [16, 17, 18, 19]],
  [/^(?:62|81)/, [16, 17, 18, 19]],
  [/^(?:5018|5020|5038|5[678]|6304|67)/, [12, 13, 14, 15, 16, 17, 18, 19]],
  [/^220[0-4]/, [16, 17, 18, 19]],
];
const cardDigitsMax = 19;

/** The Luhn algorithm (ISO/IEC 7812-1, annex B). */
export function passesLuhn(digits: string): boolean {
  let sum = 0;
  for (let place = 0; place < digits.length; place += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - place) - 48;
    const value = place % 2 === 0 ? digit : digit * 2;
    sum += value > 9 ? value - 9 : value;
  }
  return sum % 10 === 0;
}

/** Digits, alone or in groups with single spaces, dots or hyphens between. */
export function* cardsIn(text: string): Generator<Span> {
  for (const { index, 0: run } of text.matchAll(/\d(?:[ .-]?\d){11,}/g)) {
    const places = [...run.matchAll(/\d/g)].map(({ index: place }) => index + place);
    // Another number may stand before or behind it: a card begins and ends at a group.
    for (let first = 0; first < places.length; first += 1) {
      if (/\w/.test(text.charAt((places[first] ?? 0) - 1))) continue;
      const last = lastDigitOfCard(text, places, first);
      if (last === undefined) continue;
      yield { from: places[first] ?? 0, to: (places[last] ?? 0) + 1 };
      first = last;
    }
  }
}

/** The index of the last digit of the longest card that starts with digit `first`. */
function lastDigitOfCard(text: string, places: readonly number[], first: number): number | undefined {
  const own = places.slice(first, first + cardDigitsMax);
  const digits = own.map((place) => text.charAt(place)).join('');
  const endsGroup = (length: number): boolean => !/\w/.test(text.charAt((own[length - 1] ?? 0) + 1));
  for (const [start, lengths] of cardForms) {
    if (!start.test(digits)) continue;
    const fitting = lengths.findLast(
      (length) => length <= own.length && endsGroup(length) && passesLuhn(digits.slice(0, length)),
    );
    if (fitting !== undefined) return first + fitting - 1;
  }
  return undefined;
}

/** ISO 13616: the remainder by 97 of the account number with its first four characters moved to the end is 1. */
export function passesMod97(iban: string): boolean {
  let remainder = 0;
  for (const char of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(char, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}

/** Shortest and longest accounts, without separators. */
const [ibanCharsMin, ibanCharsMax] = [15, 34];

export function* ibansIn(text: string): Generator<Span> {
  const start = /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?=[ -]?[A-Z0-9])/g;
  for (let match = start.exec(text); match !== null; match = start.exec(text)) {
    const to = endOfIban(text, match.index);
    if (to === undefined) continue;
    yield { from: match.index, to };
    start.lastIndex = to;
  }
}

/** The end of the longest account that starts at an index and ends before a character that is no letter or digit. */
function endOfIban(text: string, from: number): number | undefined {
  const run = /^[A-Z0-9]+(?:[ -][A-Z0-9]+)*/.exec(text.slice(from, from + ibanCharsMax * 2))?.[0] ?? '';
  for (let end = run.length; end >= ibanCharsMin; end -= 1) {
    if (/[A-Za-z0-9]/.test(text.charAt(from + end))) continue;
    const iban = run.slice(0, end).replaceAll(/[ -]/g, '');
    if (iban.length >= ibanCharsMin && iban.length <= ibanCharsMax && passesMod97(iban)) return from + end;
  }
  return undefined;
}

/** Nine digits in the groups 3-2-4, with one separator throughout. Never issued: area 000, 666, 9xx; 00; 0000. */
export function* socialSecurityNumbersIn(text: string): Generator<Span> {
  const form = /(?<![\w-])(?!000|666|9)\d{3}([ .-])(?!00)\d{2}\1(?!0000)\d{4}(?![\w-])/g;
  for (const { index, 0: number } of text.matchAll(form)) yield { from: index, to: index + number.length };
}
