import { hostOnlyPaths } from '@soulbox/contract';

/** More rounds of percent-decoding than any server behind us does. Each round can only make the check stricter. */
const decodeRounds = 4;

/**
 * Whether envd must not receive this request target from a tenant. However envd's own router treats doubled slashes,
 * dots, percent-encoding, case or trailing parts, this check is at least as strict.
 */
export function isHostOnlyPath(target: string): boolean {
  const path = normalize(target);
  return hostOnlyPaths.some((denied) => path === denied || path.startsWith(`${denied}/`));
}

function normalize(target: string): string {
  let path = target.split(/[?#]/, 1)[0] ?? '';
  for (let round = 0; round < decodeRounds; round += 1) {
    // Decoded byte by byte, because an invalid sequence elsewhere must not leave the rest encoded.
    path = path.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  }
  const segments: string[] = [];
  for (const raw of path.toLowerCase().split(/[/\\]/)) {
    // Some routers cut off parameters (`;x`), an encoded query, blanks and control characters.
    const segment = raw.replace(/[;?#].*$/, '').replace(/[\u0000-\u0020\u007f-\u00a0]/g, '');
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return `/${segments.join('/')}`;
}
