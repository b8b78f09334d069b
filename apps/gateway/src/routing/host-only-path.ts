import { hostOnlyPaths } from '@soulbox/contract';

/** More rounds of percent-decoding than any server behind us does. Each round can only make the check stricter. */
const decodeRounds = 4;

/**
 * Whether envd must not receive this request target from a tenant. However envd's own router treats doubled slashes,
 * dots, percent-encoding, case or trailing parts, this check is at least as strict.
 */
export function isHostOnlyPath(target: string): boolean {
  const path = decode(target);
  // Two slashes begin a host name where a URL is resolved (RFC 3986, section 4.2): `//x/init` is `/init` of the host x.
  const readings = [path, path.replace(/^[/\\]{2,}[^/\\]*/, '')].map(normalize);
  return readings.some((read) => hostOnlyPaths.some((denied) => read === denied || read.startsWith(`${denied}/`)));
}

function decode(target: string): string {
  let path = target.split(/[?#]/, 1)[0] ?? '';
  for (let round = 0; round < decodeRounds; round += 1) {
    // Decoded byte by byte, because an invalid sequence elsewhere must not leave the rest encoded.
    path = path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
  return path.toLowerCase();
}

function normalize(path: string): string {
  const segments: string[] = [];
  for (const raw of path.split(/[/\\]/)) {
    // Some routers cut off parameters (`;x`), an encoded query, blanks and control characters.
    const segment = raw.replace(/[;?#].*$/, '').replace(/[\u0000-\u0020\u007f-\u00a0]/g, '');
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return `/${segments.join('/')}`;
}
