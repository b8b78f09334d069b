import type { Account } from './accounts.ts';
import { ensureUser } from './ensure-user.ts';
import { makeRootfsDirectory, writeRootfsFile } from './files.ts';

/** Folders that drivers mount on, so that a read-only template never needs a mkdir. */
const mountPoints = ['/.soulbox', '/run/soulbox', '/proc', '/sys', '/dev'];

/**
 * Prepares any root file system for use as a template: its user, the mount points, and the files that name the host.
 */
export async function prepareRootfs(rootfs: string): Promise<Account> {
  const account = await ensureUser(rootfs);
  for (const path of mountPoints) await makeRootfsDirectory(rootfs, path, 0o755);
  await makeRootfsDirectory(rootfs, '/tmp', 0o1777);
  await writeRootfsFile(rootfs, '/etc/hostname', 'sandbox\n', 0o644);
  await writeRootfsFile(rootfs, '/etc/hosts', '127.0.0.1 localhost\n::1 localhost ip6-localhost\n', 0o644);
  await writeRootfsFile(rootfs, '/etc/resolv.conf', '', 0o644);
  return account;
}
