import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { isNodeError } from '@soulbox/base';

/** Part of each checksum, so that rows of another form count as absent. Change it when the fields change. */
const formatVersion = 1;
const cellBytes = 8;

/** Rows of one kind. The place of a row follows from its time, so a new row replaces the one that is `slots` steps older. */
export interface Section<F extends string> {
  /** `atMs` is the first one. */
  readonly fields: readonly F[];
  readonly stepMs: number;
  readonly slots: number;
}

type Row<F extends string> = Readonly<Record<F, number>>;
type AnySection = Section<string>;

/**
 * Numbers of one sandbox in a file of a fixed maximum size. Places of rows that were never written use no space of the
 * disk. A row that was not written completely does not match its checksum and counts as absent.
 */
export interface MetricFile {
  /** Rows of one section must be in order of time. */
  write(parts: readonly (readonly [section: AnySection, rows: readonly Row<string>[]])[]): Promise<void>;
  /** All rows that are not older than `slots` steps before `nowMs`, nor later than it, in order of time. */
  read<F extends string>(section: Section<F>, nowMs: number): Promise<Row<F>[]>;
}

export function createMetricFile(path: string, sections: readonly AnySection[]): MetricFile {
  const startOf = (section: AnySection): number =>
    sections.slice(0, sections.indexOf(section)).reduce((sum, one) => sum + sizeOf(one), 0);
  return {
    async write(parts) {
      await using file = await openForWriting(path);
      for (const [section, rows] of parts) {
        for (const run of runsOf(section, rows)) {
          const place =
            startOf(section) + slotOf(section, run[0] === undefined ? 0 : timeOf(run[0])) * rowBytes(section);
          await file.write(Buffer.concat(run.map((row) => encode(section, row))), 0, undefined, place);
        }
      }
    },
    async read(section, nowMs) {
      const bytes = await readPart(path, startOf(section), sizeOf(section));
      const rows = Array.from({ length: section.slots }, (_, slot) => {
        const place = slot * rowBytes(section);
        const row = decode(section, bytes.subarray(place, place + rowBytes(section)));
        return row !== undefined && slotOf(section, timeOf(row)) === slot ? row : undefined;
      });
      const oldestMs = nowMs - section.slots * section.stepMs;
      return rows
        .filter((row) => row !== undefined)
        .filter((row) => timeOf(row) > oldestMs && timeOf(row) <= nowMs)
        .sort((one, other) => timeOf(one) - timeOf(other));
    },
  };
}

const timeOf = ({ atMs }: Readonly<Record<string, number>>): number => atMs ?? 0;
const rowBytes = ({ fields }: AnySection): number => (fields.length + 1) * cellBytes;
const sizeOf = (section: AnySection): number => section.slots * rowBytes(section);
const slotOf = ({ stepMs, slots }: AnySection, atMs: number): number => Math.floor(atMs / stepMs) % slots;

/** Rows whose places follow each other are written together. */
function runsOf(section: AnySection, rows: readonly Row<string>[]): Row<string>[][] {
  const runs: Row<string>[][] = [];
  let slot = -1;
  for (const row of rows) {
    const place = slotOf(section, timeOf(row));
    // The later one of two rows with the same place replaces the earlier one.
    if (place === slot) runs.at(-1)?.splice(-1, 1, row);
    else if (place === slot + 1 && runs.length > 0) runs.at(-1)?.push(row);
    else runs.push([row]);
    slot = place;
  }
  return runs;
}

function encode({ fields }: AnySection, row: Row<string>): Buffer {
  const cells = new Float64Array(fields.length + 1);
  cells.set(fields.map((name) => row[name] ?? 0));
  const bytes = Buffer.from(cells.buffer);
  cells[fields.length] = crc32(bytes.subarray(0, fields.length * cellBytes), formatVersion);
  return bytes;
}

function decode<F extends string>({ fields }: Section<F>, bytes: Buffer): Row<F> | undefined {
  const numbersBytes = fields.length * cellBytes;
  if (bytes.length < numbersBytes + cellBytes) return undefined;
  const numbers = bytes.subarray(0, numbersBytes);
  // Most places of a young sandbox were never written.
  if (numbers.readDoubleLE(0) === 0) return undefined;
  if (crc32(numbers, formatVersion) !== bytes.readDoubleLE(numbersBytes)) return undefined;
  return Object.fromEntries(fields.map((name, at) => [name, numbers.readDoubleLE(at * cellBytes)])) as Row<F>;
}

/** Opens the file without truncating it. */
async function openForWriting(path: string): Promise<Awaited<ReturnType<typeof open>>> {
  try {
    return await open(path, 'r+');
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
    return await open(path, 'wx+', 0o600);
  }
}

/** What is there of `length` bytes from `start` on. */
async function readPart(path: string, start: number, length: number): Promise<Buffer> {
  try {
    await using file = await open(path, 'r');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, start);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}
