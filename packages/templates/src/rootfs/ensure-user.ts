import { addLine, addToGroup, firstFreeId, parseGroup, parsePasswd } from './accounts.ts';
import type { Account } from './accounts.ts';
import { existsInRootfs, makeRootfsDirectory, readRootfsFile, writeRootfsFile } from './files.ts';

const userName = 'user';
// If a distribution has one of these groups, its members may use sudo.
const adminGroups = ['sudo', 'wheel'];

/**
 * Makes sure that the root file system has the user `user`, with a home folder, an existing shell and sudo without a
 * password (if sudo is installed). Edits the files directly, because no program of an untrusted image may run as root
 * on the host. Returns the account.
 */
export async function ensureUser(rootfs: string): Promise<Account> {
  await makeRootfsDirectory(rootfs, '/etc', 0o755);
  const passwd = (await readRootfsFile(rootfs, '/etc/passwd')) ?? 'root:x:0:0:root:/root:/bin/sh\n';
  const account = parsePasswd(passwd).find((entry) => entry.name === userName) ?? (await addUser(rootfs, passwd));
  const home = account.home.startsWith('/') ? account.home : `/home/${userName}`;
  await makeRootfsDirectory(rootfs, home, 0o755, account);
  if (await existsInRootfs(rootfs, '/etc/sudoers.d')) {
    await writeRootfsFile(rootfs, '/etc/sudoers.d/soulbox', `${userName} ALL=(ALL:ALL) NOPASSWD: ALL\n`, 0o440);
  }
  return { ...account, home };
}

async function addUser(rootfs: string, passwd: string): Promise<Account> {
  const group = (await readRootfsFile(rootfs, '/etc/group')) ?? 'root:x:0:\n';
  const groups = parseGroup(group);
  const gid = groups.get(userName) ?? firstFreeId(new Set(groups.values()));
  const uid = firstFreeId(new Set(parsePasswd(passwd).map((entry) => entry.uid)));
  const shell = (await existsInRootfs(rootfs, '/bin/bash')) ? '/bin/bash' : '/bin/sh';
  const account: Account = { name: userName, uid, gid, home: `/home/${userName}`, shell };

  const ownGroup = groups.has(userName) ? group : addLine(group, `${userName}:x:${String(gid)}:`);
  const withAdmin = adminGroups.reduce((text, name) => addToGroup(text, name, userName), ownGroup);
  await writeRootfsFile(rootfs, '/etc/group', withAdmin, 0o644);
  const line = [userName, 'x', String(uid), String(gid), '', account.home, shell].join(':');
  await writeRootfsFile(rootfs, '/etc/passwd', addLine(passwd, line), 0o644);
  await addShadow(rootfs);
  return account;
}

// `*` as a password: no login by password, but sudo, and su by root, accept the account (`!` would lock it for sshd).
async function addShadow(rootfs: string): Promise<void> {
  const shadow = await readRootfsFile(rootfs, '/etc/shadow');
  if (shadow === undefined || shadow.split('\n').some((line) => line.startsWith(`${userName}:`))) return;
  await writeRootfsFile(rootfs, '/etc/shadow', addLine(shadow, `${userName}:*:20000:0:99999:7:::`), 0o640);
}
