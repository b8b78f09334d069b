import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { runFolder } from '@soulbox/isolation/run-folder';

/** The files in which systems keep the certificates of all trusted authorities: Debian and Alpine, Fedora, SUSE. */
const systemBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
] as const;

/** System updates change the system's authorities. */
const refreshMs = 3_600_000;

/** Keeps `file` up to date until it is disposed of. */
export interface Trust extends Disposable {
  readonly file: string;
}

/**
 * Writes the system's authorities and ours into a file in `folder`, unless it has them, and returns its path. Unlike
 * the data folder, every user of the host can read it.
 */
export async function writeTrust(
  folder: string,
  ownCaFile: string,
  bundles: readonly string[] = systemBundles,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  const file = join(folder, 'ca-bundle.pem');
  await write(file, `${await readFirst(bundles)}${await readFile(ownCaFile, 'utf8')}`);
  return file;
}

/** For the clients of a server, in its folder in /run. `ownCaFile` is in the data folder. */
export async function keepTrust(instance: number, ownCaFile: string, logger: Logger): Promise<Trust> {
  // Other users may enter the folder but not list it, because it also has files of the server.
  await chmod(runFolder(instance), 0o711);
  const folder = join(runFolder(instance), 'trust');
  const file = await writeTrust(folder, ownCaFile);
  const refresh = (): void => {
    writeTrust(folder, ownCaFile).catch((err: unknown) => {
      logger.error({ err }, 'certificate bundle for clients could not be written');
    });
  };
  const timer = setInterval(refresh, refreshMs);
  timer.unref();
  return { file, [Symbol.dispose]: () => clearInterval(timer) };
}

async function write(file: string, text: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => undefined)) === text) return;
  await writeFileAtomic(file, text);
  // Set after the write, because the umask removes bits from the mode of a new file.
  await chmod(file, 0o644);
}

/** Empty when the system has none. */
async function readFirst(files: readonly string[]): Promise<string> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return text.endsWith('\n') ? text : `${text}\n`;
  }
  return '';
}
