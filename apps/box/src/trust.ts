import { chmod, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { runFolder } from '@soulbox/isolation/run-folder';

/** Where systems keep the certificates of all authorities they trust: Debian and Alpine, Fedora, SUSE. */
const systemBundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
] as const;

/** The system's authorities change with its updates. */
const refreshMs = 3_600_000;

/** Files for clients. Every user of the host can read them, unlike the data folder. */
export interface Trust {
  /** Our authority alone: for programs that add it to their own, as Node.js does. */
  readonly caFile: string;
  /** The system's authorities and ours: for programs that take it instead of their own, as Python does. */
  readonly bundleFile: string;
}

export function trustFiles(folder: string): Trust {
  return { caFile: join(folder, 'ca.pem'), bundleFile: join(folder, 'ca-bundle.pem') };
}

/** Writes the files of `trustFiles` into `folder`, those that have changed. */
export async function writeTrust(
  folder: string,
  ownCaFile: string,
  bundles: readonly string[] = systemBundles,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, 0o755);
  const own = await readFile(ownCaFile, 'utf8');
  const { caFile, bundleFile } = trustFiles(folder);
  await write(caFile, own);
  await write(bundleFile, `${await readFirst(bundles)}${own}`);
}

/** Keeps them for the clients of a server, in its folder in /run. `ownCaFile` is in the data folder. */
export async function keepTrust(instance: number, ownCaFile: string, logger: Logger): Promise<Trust & Disposable> {
  // Others may pass through, not list: the folder has files of the server as well.
  await chmod(runFolder(instance), 0o711);
  const folder = join(runFolder(instance), 'trust');
  await writeTrust(folder, ownCaFile);
  const refresh = (): void => {
    writeTrust(folder, ownCaFile).catch((err: unknown) => {
      logger.error({ err }, 'certificate bundle for clients could not be written');
    });
  };
  const timer = setInterval(refresh, refreshMs);
  timer.unref();
  return { ...trustFiles(folder), [Symbol.dispose]: () => clearInterval(timer) };
}

async function write(file: string, text: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => undefined)) === text) return;
  await writeFileAtomic(file, text);
  // After it is written: a umask takes bits away from the mode that a file is made with.
  await chmod(file, 0o644);
}

/** Empty where the system has none. */
async function readFirst(files: readonly string[]): Promise<string> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text !== undefined) return text.endsWith('\n') ? text : `${text}\n`;
  }
  return '';
}
