const unreserved = /[A-Za-z0-9._~-]/;
/** The characters that a path may contain unencoded (RFC 3986, `pchar`). */
const plain = /[A-Za-z0-9._~!$&'()*+,;=:@-]/;
const printable = /^[\x21-\x7e]*$/;

/** A path in its canonical form, or why it has none. */
export type CanonicalPath = { readonly path: string } | { readonly fault: string };

/**
 * The path of a URL in its canonical form: RFC 3986, section 6.2.2, without dot segments. Letters, digits and `-._~` are
 * never encoded, other characters are as sent, and the digits of an encoding are in upper case. A path that a server
 * could read in two ways is refused: dot segments in any encoding, empty segments, encoded slashes and backslashes,
 * control characters, and what is still encoded after one decoding.
 */
export function canonicalPath(text: string): CanonicalPath {
  if (!text.startsWith('/') || !printable.test(text)) return { fault: 'is not a path in ASCII' };
  const segments = text.slice(1).split('/');
  const encoded: string[] = [];
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1;
    if (segment === '' && !isLast) return { fault: 'has an empty segment' };
    const canonical = normalize(segment);
    if (canonical === undefined) return { fault: 'has a percent sign without two hexadecimal digits' };
    const fault = findFault(canonical);
    if (fault !== undefined) return { fault };
    encoded.push(canonical);
  }
  return { path: `/${encoded.join('/')}` };
}

function normalize(segment: string): string | undefined {
  if (/%(?![0-9A-Fa-f]{2})/.test(segment)) return undefined;
  return segment.replace(/%[0-9A-Fa-f]{2}|[^%]/g, (part) => {
    if (part.length === 1) return plain.test(part) ? part : encodeByte(part.charCodeAt(0));
    const character = String.fromCharCode(Number.parseInt(part.slice(1), 16));
    return unreserved.test(character) ? character : part.toUpperCase();
  });
}

const encodeByte = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;

function findFault(segment: string): string | undefined {
  let decoded: string;
  try {
    decoded = decodeURIComponent(segment);
  } catch {
    return 'is not UTF-8';
  }
  // Some servers cut off parameters, which begin with a semicolon.
  const [name = ''] = decoded.split(';', 1);
  if (name === '.' || name === '..') return 'has a dot segment';
  if (/[/\\]/.test(decoded)) return 'has an encoded slash or a backslash';
  if (/\p{Cc}/u.test(decoded)) return 'has a control character';
  if (/%[0-9A-Fa-f]{2}/.test(decoded)) return 'is encoded twice';
  return undefined;
}
