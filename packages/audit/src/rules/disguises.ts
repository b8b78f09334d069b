/** How a value may be written so that a rule for its plain form does not find it. */

/** Letters of Cyrillic and Greek that look like Latin ones, and those Latin ones. */
const alike = Array.from('аеорсухіјѕһԁɡԛԝкмтвнАВЕКМНОРСТХІЈЅαοιυνρκτΑΒΕΖΗΙΚΜΝΟΡΤΥΧ');
const latin = Array.from('aeopcyxijshdgqwkmtbhABEKMHOPCTXIJSaoiuvpktABEZHIKMNOPTYX');
const lookalikes = new Map(alike.map((char, index) => [char, latin[index] ?? char]));

/**
 * The text with look-alikes, full-width and other compatible characters, foreign digits, dashes and spaces in their
 * plain form, and without invisible characters.
 */
export function foldText(text: string): string {
  return text
    .normalize('NFKC')
    .replaceAll(/\p{Cf}/gu, '')
    .replaceAll(/\p{Pd}/gu, '-')
    .replaceAll(/\p{Zs}/gu, ' ')
    .replaceAll(/[^\0-\x7f]/gu, (char) => lookalikes.get(char) ?? asciiDigit(char));
}

/** Digits of a script stand in a row from 0 to 9. Other characters are returned as they are. */
function asciiDigit(char: string): string {
  if (!/\p{Nd}/u.test(char)) return char;
  const code = char.codePointAt(0) ?? 0;
  let value = 0;
  while (value < 9 && /\p{Nd}/u.test(String.fromCodePoint(code - value - 1))) value += 1;
  return String(value);
}

/** Sequences with which a terminal changes colors and titles (ECMA-48). */
export function removeTerminalSequences(text: string): string {
  return text.replaceAll(/\u001b(?:\[[0-?]*[ -/]*[@-~]?|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\^_])/g, '');
}

/** A percent sign in an encoded text may itself be encoded. */
const percentRoundsMax = 3;

/** Parts of a text that are encoded, with what they contain. */
export function* decodedParts(
  text: string,
): Generator<{ readonly from: number; readonly to: number; readonly plain: string }> {
  for (const { index, 0: part } of text.matchAll(/\S{1,2048}/g)) {
    if (!/%[0-9A-Fa-f]{2}/.test(part)) continue;
    let plain = part;
    for (let round = 0; round < percentRoundsMax && /%[0-9A-Fa-f]{2}/.test(plain); round += 1)
      plain = percentDecoded(plain);
    yield { from: index, to: index + part.length, plain };
  }
  for (const { index, 0: part } of text.matchAll(/[A-Za-z0-9+/_-]{16,4096}={0,2}/g)) {
    const encodings = /^(?:[0-9A-Fa-f]{2})+$/.test(part) ? (['hex', 'base64'] as const) : (['base64'] as const);
    for (const encoding of encodings) {
      const plain = Buffer.from(part, encoding).toString('utf8');
      if (/^(?:[^\ufffd\p{Cc}]|\s)+$/u.test(plain)) yield { from: index, to: index + part.length, plain };
    }
  }
}

function percentDecoded(text: string): string {
  return text.replaceAll(/(?:%[0-9A-Fa-f]{2})+/g, (group) =>
    Buffer.from(group.replaceAll('%', ''), 'hex').toString('utf8'),
  );
}
