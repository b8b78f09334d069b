import { parameterPrefix } from './parameters.ts';

export type Parameter = readonly [name: string, value: string];

/**
 * Whether the query has a parameter of a signed URL, known or not, in any encoding and case of letters. Such a request
 * counts as signed.
 */
export function hasSignatureParameter(query: string): boolean {
  return query.split('&').some((piece) => {
    const [name = ''] = piece.split('=', 1);
    // Byte by byte, because an invalid encoding elsewhere in the name must not hide its beginning.
    const decoded = name.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    return decoded.toLowerCase().startsWith(parameterPrefix);
  });
}

/** The parameters in the order sent. `a` is the same as `a=`, and `+` the same as `%20`. Undefined for a bad query. */
export function parseQuery(query: string): Parameter[] | undefined {
  if (query === '') return [];
  const parameters: Parameter[] = [];
  for (const piece of query.split('&')) {
    const at = piece.indexOf('=');
    const name = decode(at < 0 ? piece : piece.slice(0, at));
    const value = decode(at < 0 ? '' : piece.slice(at + 1));
    if (name === undefined || name === '' || value === undefined) return undefined;
    parameters.push([name, value]);
  }
  return parameters;
}

function decode(text: string): string | undefined {
  if (!/^[\x21-\x7e]*$/.test(text)) return undefined;
  try {
    return decodeURIComponent(text.replaceAll('+', '%20'));
  } catch {
    return undefined;
  }
}

/** In the order given. Everything except letters, digits and `-._~` is encoded as UTF-8, in upper case. */
export function writeQuery(parameters: readonly Parameter[]): string {
  return parameters.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&');
}

/** Sorted by encoded names. Parameters of the same name keep their order, because it can have a meaning. */
export function canonicalQuery(parameters: readonly Parameter[]): string {
  const byName = parameters.map(([name, value]) => ({ name: encode(name), value: encode(value) }));
  return byName
    .toSorted((one, other) => (one.name < other.name ? -1 : Number(one.name > other.name)))
    .map(({ name, value }) => `${name}=${value}`)
    .join('&');
}

/** `encodeURIComponent` leaves five more characters unencoded. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
