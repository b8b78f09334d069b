import { invalidArchive } from './tar-header.ts';

const [space, newline] = [0x20, 0x0a];

/** The records of a pax header: `LENGTH KEY=VALUE`, where the length counts the whole record. */
export function parsePax(bytes: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length;) {
    const gap = bytes.indexOf(space, at);
    const digits = bytes.subarray(at, gap).toString('latin1');
    const end = at + Number(digits);
    if (gap === -1 || !/^[1-9]\d{0,5}$/.test(digits) || end > bytes.length || bytes[end - 1] !== newline)
      throw invalidArchive('a pax header has a wrong length');
    const equals = bytes.indexOf(0x3d, gap);
    if (equals === -1 || equals >= end) throw invalidArchive('a pax header has no value');
    records.set(bytes.subarray(gap + 1, equals).toString('latin1'), Buffer.from(bytes.subarray(equals + 1, end - 1)));
    at = end;
  }
  return records;
}
