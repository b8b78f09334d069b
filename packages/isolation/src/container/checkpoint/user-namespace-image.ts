import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import { idCount } from '../../root/id-map.ts';
import { varint } from '../pager/image-file.ts';

/** Each of CRIU's images begins with two magic numbers, then the length of one protobuf message. */
const magicBytes = 8;
const headerBytes = magicBytes + 4;

/** Name of the image with the map of the saved sandbox's user namespace. Throws `state_damaged`. */
export async function findUserNamespaceImage(directory: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => /^userns-\d+\.img$/.test(name));
  const [name] = names;
  if (name === undefined || names.length > 1)
    throw new SoulBoxError('state_damaged', 'The saved memory does not contain a user namespace.');
  return name;
}

/**
 * The image at `path` for a sandbox whose ids begin at `idBase`: message userns_entry (CRIU: images/userns.proto), with
 * a uid and a gid map of one extent each. All other ids in a saved memory are relative to it. Throws `state_damaged`.
 */
export async function userNamespaceImage(directory: string, name: string, idBase: number): Promise<Buffer> {
  const saved = await readFile(join(directory, name));
  if (saved.length <= headerBytes) throw new SoulBoxError('state_damaged', 'The saved user namespace is truncated.');
  const extent = [...field(1, 0), ...field(2, idBase), ...field(3, idCount)];
  const message = [1, 2].flatMap((number) => [(number << 3) | 2, extent.length, ...extent]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(message.length);
  return Buffer.concat([saved.subarray(0, magicBytes), length, Buffer.from(message)]);
}

/** A protobuf field with an integer. */
function field(number: number, value: number): number[] {
  return [number << 3, ...varint(value)];
}
