import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';
import { unpackDebianPackage } from './debian-package.ts';

/**
 * A small root file system from Debian's static busybox, similar to images on registries: merged /usr, a few accounts.
 */
export async function makeBusyboxRootfs(rootfs: string): Promise<void> {
  await mkdir(join(rootfs, 'usr/bin'), { recursive: true });
  await symlink('usr/bin', join(rootfs, 'bin'));
  await unpackDebianPackage('busybox-static', rootfs);
  await symlink('busybox', join(rootfs, 'usr/bin/sh'));
  await mkdir(join(rootfs, 'etc'), { recursive: true });
  await writeFile(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/srv/app:/bin/sh');
  await writeFile(join(rootfs, 'etc/group'), 'root:x:0:\nsudo:x:27:\napp:x:1000:\n');
}

export interface ImageSettings {
  readonly user?: string;
  readonly workdir?: string;
  readonly environment?: readonly string[];
  readonly architecture?: string;
}

/** Packs a folder as a one-layer image into a new OCI layout and returns it as `oci:DIR:TAG`. */
export async function makeImage(rootfs: string, layout: string, settings: ImageSettings = {}): Promise<string> {
  const image = `${layout}:latest`;
  await run('umoci', ['init', '--layout', layout]);
  await run('umoci', ['new', '--image', image]);
  await run('umoci', ['insert', '--image', image, rootfs, '/']);
  const flags = [
    ...(settings.user === undefined ? [] : ['--config.user', settings.user]),
    ...(settings.workdir === undefined ? [] : ['--config.workingdir', settings.workdir]),
    ...(settings.environment ?? []).flatMap((line) => ['--config.env', line]),
    ...(settings.architecture === undefined ? [] : ['--architecture', settings.architecture]),
  ];
  await run('umoci', ['config', '--image', image, ...flags]);
  return `oci:${image}`;
}
