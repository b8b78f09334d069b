import { SoulBoxError } from '@soulbox/base';

const mib = 2 ** 20;

/** Throws `disk_full` unless `bytes` fit into the room of the host's disk. `what` begins the message. */
export function checkRoom(what: string, bytes: number, roomBytes: number): void {
  if (bytes <= roomBytes) return;
  const [needed, left] = [bytes, Math.max(0, roomBytes)].map((count) => Math.ceil(count / mib));
  throw new SoulBoxError(
    'disk_full',
    `${what} can need ${needed} MiB of the host's disk, but only ${left} MiB are neither reserved nor promised to other sandboxes. Delete sandboxes or snapshots, or free space.`,
  );
}
