import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '@soulbox/base';

/** Unpacks a Debian package into `directory`. Nothing is installed, no service is started. */
export async function unpackDebianPackage(name: string, directory: string): Promise<void> {
  const downloads = join(directory, '.download');
  await mkdir(downloads, { recursive: true });
  // As root, apt would switch to _apt, which may not write here.
  await run('apt-get', ['download', '-o', 'APT::Sandbox::User=root', name], { cwd: downloads, timeoutMs: 120_000 });
  const archive = (await readdir(downloads)).find((file) => file.startsWith(`${name}_`));
  if (archive === undefined) throw new Error(`apt-get downloaded no ${name}`);
  await run('dpkg', ['-x', join(downloads, archive), directory]);
  await run('rm', ['-rf', '--', downloads]);
}
