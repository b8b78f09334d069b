import { lstat, realpath, stat } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { posix } from 'node:path';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { EntryInfoSchema } from '@soulbox/contract/filesystem';
import { FileType } from '@soulbox/contract/filesystem';
import { readAttributes } from '../sys/extended-attributes.ts';
import type { Users } from '../users/users.ts';
import { permissionsText } from './permissions-text.ts';

export type EntryInfoInit = MessageInitShape<typeof EntryInfoSchema>;

/** The metadata of a file is stored in extended attributes with this prefix (E2B). */
export const metadataPrefix = 'user.e2b.';

/**
 * Describes a path without following it. For a symbolic link, type and mode are those of its target; everything else
 * describes the link itself. Rejects with ENOENT and similar errors.
 */
export async function readEntryInfo(path: string, users: Users): Promise<EntryInfoInit> {
  const found = await lstat(path, { bigint: true });
  const isLink = found.isSymbolicLink();
  const target = isLink ? await findTarget(path) : undefined;
  const described = target?.stats ?? found;
  return {
    name: posix.basename(path),
    type: fileType(described),
    path,
    size: found.size,
    mode: Number(described.mode) & 0o777,
    permissions: permissionsText(Number(found.mode)),
    owner: users.userName(Number(found.uid)),
    group: users.groupName(Number(found.gid)),
    modifiedTime: timestamp(found.mtimeNs),
    metadata: found.isFile() ? readAttributes(path, metadataPrefix) : {},
    ...(isLink ? { symlinkTarget: target?.path ?? path } : {}),
  };
}

/** The target of a link. Undefined if it does not exist or the link is a loop. */
async function findTarget(path: string): Promise<{ path: string; stats: BigIntStats } | undefined> {
  try {
    return { path: await realpath(path), stats: await stat(path, { bigint: true }) };
  } catch {
    return undefined;
  }
}

/** Devices, pipes and sockets have no type in the protocol. */
function fileType(stats: BigIntStats): FileType {
  if (stats.isFile()) return FileType.FILE;
  if (stats.isDirectory()) return FileType.DIRECTORY;
  if (stats.isSymbolicLink()) return FileType.SYMLINK;
  return FileType.UNSPECIFIED;
}

function timestamp(nanoseconds: bigint): { seconds: bigint; nanos: number } {
  // For a time before 1970 the nanos also count forward.
  const nanos = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { seconds: (nanoseconds - nanos) / 1_000_000_000n, nanos: Number(nanos) };
}
