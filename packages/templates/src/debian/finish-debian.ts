import { chmod, cp, lchown, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { prepareRootfs } from '../rootfs/prepare-rootfs.ts';
import { loginProfile } from './login-profile.ts';

/** Turns a fresh Debian root (all of it from signed packages) into the basis of our templates. */
export async function finishDebian(rootfs: string): Promise<void> {
  const account = await prepareRootfs(rootfs);
  const home = join(rootfs, account.home);
  for (const name of await readdir(join(rootfs, 'etc/skel'))) {
    await cp(join(rootfs, 'etc/skel', name), join(home, name), { recursive: true });
    await lchown(join(home, name), account.uid, account.gid);
  }
  await writeFile(join(rootfs, 'etc/profile'), loginProfile);
  await writeFile(join(rootfs, 'etc/default/locale'), 'LANG=C.UTF-8\n');
  // Identity that must not be shared: systemd and dbus create it again if the file is empty.
  await writeFile(join(rootfs, 'etc/machine-id'), '');
  // A sandbox is disposable: PEP 668's protection of the system's Python only hinders agents.
  await writeFile(join(rootfs, 'etc/pip.conf'), '[global]\nbreak-system-packages = true\n');
  await symlink('/usr/share/zoneinfo/Etc/UTC', join(rootfs, 'etc/localtime')).catch(() => undefined);
  // Every sandbox gets a /dev of its own; nodes on the disk have no use.
  for (const name of await readdir(join(rootfs, 'dev'))) await rm(join(rootfs, 'dev', name), { recursive: true });
  await rm(join(rootfs, 'var/log/apt'), { recursive: true, force: true });
  for (const name of ['dpkg.log', 'alternatives.log', 'bootstrap.log']) {
    await rm(join(rootfs, 'var/log', name), { force: true });
  }
  // The manual pages are left out (packages.ts), but installing Java creates links in these folders and fails without
  // them.
  for (let section = 1; section <= 9; section++)
    await mkdir(join(rootfs, 'usr/share/man', `man${section}`), { recursive: true });
  // E2B's templates let `user` install into /usr/local (npm -g, scripts) without sudo.
  await run('chmod', ['-R', 'a+rwX', '--', join(rootfs, 'usr/local')]);
  await chmod(join(rootfs, 'tmp'), 0o1777);
}
