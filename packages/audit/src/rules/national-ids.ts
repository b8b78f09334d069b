import type { Span } from '../span.ts';
import { passesLuhn } from './checked-numbers.ts';

/**
 * Numbers that states give to people, where a checksum or a fixed form tells them from other digits. Without one, as in
 * the Netherlands or India, any number of the same length would be removed.
 */
const forms: readonly (readonly [form: RegExp, isValid: (compact: string) => boolean])[] = [
  // United Kingdom, national insurance number: a form without a checksum.
  [/[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]/, (id) => !/^(?:BG|GB|KN|NK|NT|TN|ZZ)/.test(id)],
  // France, NIR: 97 minus the remainder.
  [
    /[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}/,
    (id) => {
      const digits = id.replace('2A', '19').replace('2B', '18');
      return 97 - (Number(digits.slice(0, 13)) % 97) === Number(digits.slice(13));
    },
  ],
  // Spain, DNI and NIE.
  [
    /[0-9XYZ]\d{7}-?[A-HJ-NP-TV-Z]/,
    (id) =>
      'TRWAGMYFPDXBNJZSQVHLCKE'.charAt(
        Number(id.replace(/^[XYZ]/, (first) => String('XYZ'.indexOf(first))).slice(0, 8)) % 23,
      ) === id.at(-1),
  ],
  [/[A-Z]{6}\d{2}[A-EHLMPR-T]\d{2}[A-Z]\d{3}[A-Z]/, isCodiceFiscale],
  // Brazil, CPF, as it is written.
  [/\d{3}\.\d{3}\.\d{3}-\d{2}/, isCpf],
  // Switzerland, AHV: a number of GS1.
  [/756\.\d{4}\.\d{4}\.\d{2}/, (id) => weighted(id, [1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]) % 10 === 0],
  // Sweden, personnummer, and Poland, PESEL: a date of birth and a checksum.
  [/(?:19|20)?\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[-+]\d{4}/, (id) => passesLuhn(id.slice(-10))],
  [
    /\d{2}(?:[02468][1-9]|[13579][0-2])(?:0[1-9]|[12]\d|3[01])\d{5}/,
    (id) => weighted(id, [1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]) % 10 === 0,
  ],
  // Germany, tax number of a person: one digit is there two or three times, and ISO 7064 MOD 11,10.
  [/[1-9]\d(?: ?\d{3}){3}/, isTaxNumber],
];

export function* nationalIdsIn(text: string): Generator<Span> {
  for (const [form, isValid] of forms)
    for (const { index, 0: found } of text.matchAll(new RegExp(`(?<![\\w.-])${form.source}(?![\\w-]|\\.\\d)`, 'g')))
      if (isValid(found.replaceAll(/[ .+-]/g, ''))) yield { from: index, to: index + found.length };
}

function weighted(digits: string, weights: readonly number[]): number {
  return weights.reduce((sum, weight, place) => sum + weight * Number(digits.charAt(place)), 0);
}

function isCpf(digits: string): boolean {
  const checkOf = (length: number): number => {
    const rest =
      weighted(
        digits,
        Array.from({ length }, (_, place) => length + 1 - place),
      ) % 11;
    return rest < 2 ? 0 : 11 - rest;
  };
  return checkOf(9) === Number(digits[9]) && checkOf(10) === Number(digits[10]);
}

/** Values of characters at odd places, for 0 to 9 and for A to Z. */
const oddValues = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

/** Italy, codice fiscale. */
function isCodiceFiscale(id: string): boolean {
  let sum = 0;
  for (const [place, char] of Array.from(id.slice(0, 15)).entries()) {
    const value = char >= 'A' ? char.charCodeAt(0) - 65 : Number(char);
    sum += place % 2 === 0 ? (oddValues[value] ?? 0) : value;
  }
  return String.fromCharCode(65 + (sum % 26)) === id[15];
}

function isTaxNumber(digits: string): boolean {
  const counts = new Map<string, number>();
  for (const digit of digits.slice(0, 10)) counts.set(digit, (counts.get(digit) ?? 0) + 1);
  const repeated = [...counts.values()].filter((count) => count > 1);
  if (repeated.length !== 1 || (repeated[0] ?? 0) > 3) return false;
  let product = 10;
  for (const digit of digits.slice(0, 10)) {
    const sum = (Number(digit) + product) % 10;
    product = ((sum === 0 ? 10 : sum) * 2) % 11;
  }
  return (11 - product) % 10 === Number(digits[10]);
}
