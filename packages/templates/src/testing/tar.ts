/** One entry of a tar file, written byte by byte: tar programs refuse to create hostile ones. */
export interface TarEntry {
  readonly name: string;
  /** `0` file, `1` hard link, `2` symbolic link, `3` and `4` device, `5` folder, `6` fifo. */
  readonly type: '0' | '1' | '2' | '3' | '4' | '5' | '6';
  readonly content?: string;
  readonly linkName?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly device?: readonly [major: number, minor: number];
}

const block = 512;

/** A ustar archive of these entries, POSIX.1-1988. */
export function makeTar(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(makeEntry), Buffer.alloc(2 * block)]);
}

function makeEntry(entry: TarEntry): Buffer {
  const content = Buffer.from(entry.content ?? '');
  const header = Buffer.alloc(block);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  header.write(entry.name, 0, 100);
  header.write(octal(entry.mode ?? (entry.type === '5' ? 0o755 : 0o644), 8), 100);
  header.write(octal(entry.uid ?? 0, 8), 108);
  header.write(octal(entry.uid ?? 0, 8), 116);
  header.write(octal(content.length, 12), 124);
  header.write(octal(0, 12), 136);
  header.write(' '.repeat(8), 148);
  header.write(entry.type, 156);
  header.write(entry.linkName ?? '', 157, 100);
  header.write('ustar\0' + '00', 257);
  header.write(octal(entry.device?.[0] ?? 0, 8), 329);
  header.write(octal(entry.device?.[1] ?? 0, 8), 337);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((block - (content.length % block)) % block);
  return Buffer.concat([header, content, padding]);
}
