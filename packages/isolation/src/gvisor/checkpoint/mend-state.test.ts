import { mkdtemp, readFile, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mendState, needsMending } from './mend-state.ts';
import { makeOwnImage } from './own-image.ts';
import { parseStateFile, stateFileName } from './state-file.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-state-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

/** Kinds of values in the encoding. */
const [bool, uint, nil, ref, string, array, map, struct, fields, type] = [0, 2, 5, 6, 7, 9, 10, 11, 13, 17];

const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
const typeOf = (name: string, ...names: string[]): number[] => [
  type,
  ...text(name),
  names.length,
  ...names.flatMap((field) => text(field)),
];
const object = (id: number, ...value: number[]): number[] => [uint, id, ...value];
const structOf = (typeId: number, ...values: number[][]): number[] => [
  struct,
  typeId,
  fields,
  values.length,
  ...values.flat(),
];
const to = (id: number): number[] => [ref, id, 0];
/** 1 << 30, the flag EPOLLONESHOT, and EPOLLIN: a number of more than one byte. */
const mask = [uint, 0x81, 0x80, 0x80, 0x80, 0x04];
const zeroMask = [uint, 0x80, 0x80, 0x80, 0x80, 0x00];

const types = [
  ...typeOf('pkg/sentry/kernel.Kernel', 'rootUTSNamespace', 'epoll'),
  ...typeOf('pkg/sentry/kernel.UTSNamespace', 'hostName', 'domainName'),
  ...typeOf('pkg/sentry/vfs.EpollInstance', 'interest', 'ready'),
  ...typeOf('pkg/sentry/vfs.epollInterest', 'mask', 'ready', 'next'),
  ...typeOf('pkg/sentry/vfs.epollInterestList', 'head', 'tail'),
];

interface Epolls {
  readonly liveReady: readonly number[];
  readonly deadMask: readonly number[];
  readonly head: readonly number[];
  readonly hostName: string;
}

/**
 * A kernel with an epoll that has one interest, number 5. Interest number 6 was deleted but can still be reached from
 * it.
 */
function objectsOf({ liveReady, deadMask, head, hostName }: Epolls): Buffer {
  const objects = [
    object(1, ...structOf(1, to(2), to(3))),
    object(2, ...structOf(2, [string, ...text(hostName)], [nil])),
    object(3, ...structOf(3, to(4), structOf(5, [...head], [...head]))),
    // In a map, only the first entry's reference is preceded by its kind.
    object(4, map, 1, uint, 7, ...to(5)),
    object(5, ...structOf(4, mask, [...liveReady], to(6))),
    object(6, ...structOf(4, [...deadMask], [nil], [nil])),
  ];
  // Six objects, with the highest of 64 bits set.
  const count = [0x86, ...Array<number>(8).fill(0x80), 0x01];
  return Buffer.from([...count, ...types, ...objects.flat()]);
}

const saved: Epolls = { liveReady: [bool, 1], deadMask: mask, head: to(5), hostName: 'source' };

const metadata = (compression: string): Buffer => {
  const json = Buffer.from(JSON.stringify({ compression }));
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(json.length));
  return Buffer.concat([Buffer.from('gVisorSF'), length, json, Buffer.alloc(32, 7)]);
};

/** Like runsc: each byte is a piece of its own. */
function fileOf(objects: Buffer, compression = 'none'): Buffer {
  return Buffer.concat([metadata(compression), ...[...objects].map((byte) => Buffer.from([0, 0, 0, 1, byte]))]);
}

const write = async (file: Buffer): Promise<void> => await writeFile(join(folder, stateFileName), file);
const read = async (from = folder): Promise<Buffer> =>
  parseStateFile(await readFile(join(from, stateFileName))).objects;

const oneObject = (...value: number[]): Buffer => oneLongObject(Buffer.from(value));
const oneLongObject = (value: Buffer): Buffer =>
  fileOf(Buffer.concat([Buffer.from([0x81, ...Array<number>(8).fill(0x80), 0x01, uint, 1]), value]));
/** 2^49. */
const enormous = [...Array<number>(7).fill(0x80), 0x01];

describe('repairs', () => {
  test('a deleted interest asks for nothing, and all lists of ready interests are empty', async () => {
    await write(fileOf(objectsOf(saved)));
    await mendState(folder);
    const mended = objectsOf({ ...saved, liveReady: [bool, 0], deadMask: zeroMask, head: to(0) });
    expect(await read()).toEqual(mended);
  });

  test('the head of the file stays, and a second repair changes nothing', async () => {
    await write(fileOf(objectsOf(saved)));
    await mendState(folder);
    const once = await readFile(join(folder, stateFileName));
    expect(once.subarray(0, metadata('none').length)).toEqual(metadata('none'));
    await mendState(folder);
    expect(await readFile(join(folder, stateFileName))).toEqual(once);
  });

  test('an array of values without bytes is skipped, whatever its length', async () => {
    await write(oneObject(array, ...enormous, nil));
    await mendState(folder);
  });

  test('zeros that are not written at all stay so', async () => {
    const sound = objectsOf({ ...saved, liveReady: [nil], deadMask: [nil], head: [nil] });
    await write(fileOf(sound));
    await mendState(folder);
    expect(await read()).toEqual(sound);
  });

  const whole = fileOf(objectsOf(saved));
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['another file', Buffer.from('something else altogether')],
    ['a compressed state file', fileOf(objectsOf(saved), 'flate-best-speed')],
    ['a state file that is cut short', whole.subarray(0, -20)],
    ['a state file with more behind it', Buffer.concat([whole, Buffer.from([0, 0, 0, 1, 9])])],
    ['an unknown kind of value', oneObject(99)],
    ['a map of more entries than bytes', oneObject(map, ...enormous, nil, nil)],
    ['an array of more elements than bytes', oneObject(array, ...enormous, bool)],
    ['a text longer than the file', oneObject(string, ...enormous)],
    ['objects without end', fileOf(Buffer.from(Array<number>(9).fill(0xff).concat(0x01)))],
    ['structs in structs without end', oneLongObject(Buffer.alloc(60_000, Buffer.of(struct, 1)))],
    ['an interest without fields', fileOf(objectsOf({ ...saved, deadMask: [string, ...text('x')] }))],
  ])('%s is refused and not changed', async (_, file) => {
    await write(file);
    await expect(mendState(folder)).rejects.toThrow();
    expect(await readFile(join(folder, stateFileName))).toEqual(file);
  });

  test('a file larger than any state file is not read', async () => {
    await write(Buffer.alloc(0));
    await truncate(join(folder, stateFileName), 2 ** 40);
    await expect(mendState(folder)).rejects.toThrow('too large');
  });

  test.each([
    ['runsc 0.0~20240729.0', true],
    ['runsc release-20250312.0', true],
    ['runsc release-20261012.0', false],
    ['runsc release-20270104.1-3-gabcdef', false],
    ['runsc VERSION_MISSING', true],
    ['', true],
  ])('%j needs repairs: %s', (version, expected) => {
    expect(needsMending(version)).toBe(expected);
  });
});

describe('an image of its own', () => {
  const own = (): string => join(folder, 'own');
  let memory: string;
  beforeEach(async () => {
    memory = await mkdtemp(join(folder, 'memory-'));
    await writeFile(join(memory, stateFileName), fileOf(objectsOf(saved)), { mode: 0o444 });
    await writeFile(join(memory, 'pages.img'), 'pages');
  });

  test.each(['copy', 'source', 'x'.repeat(64)])('has the host name %s, and the saved one stays', async (hostName) => {
    await makeOwnImage(own(), memory, hostName);
    expect(await read(own())).toEqual(objectsOf({ ...saved, hostName }));
    expect(await read(memory)).toEqual(objectsOf(saved));
    expect((await readdir(own())).sort()).toEqual([stateFileName, 'pages.img']);
    expect(await readFile(join(own(), 'pages.img'), 'utf8')).toBe('pages');
    expect((await stat(own())).mode & 0o777).toBe(0o700);
  });

  test('a name that Linux does not allow is refused', async () => {
    await expect(makeOwnImage(own(), memory, 'x'.repeat(128))).rejects.toThrow('too long');
  });

  test('a missing or truncated state file is refused', async () => {
    await expect(makeOwnImage(own(), join(folder, 'nowhere'), 'copy')).rejects.toThrow('ENOENT');
    await rm(own(), { recursive: true });
    await writeFile(join(memory, 'cut.img'), '');
    await rm(join(memory, stateFileName));
    await write(Buffer.alloc(0));
    await expect(makeOwnImage(own(), folder, 'copy')).rejects.toThrow('unknown form');
  });
});
