import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob';
import { removeTree } from '@soulbox/base';

/**
 * Where `npm test` installs azurite, Microsoft's Azure server for tests (scripts/prepare.ts). It is no dependency of the
 * workspace: it has 236 dependencies and takes 240 MB.
 */
export const azurite = { version: '3.37.0', folder: '/var/lib/soulbox-test/azurite-3.37.0' } as const;

const program = join(azurite.folder, 'node_modules/azurite/dist/src/blob/main.js');
export const hasAzurite = existsSync(program);

/** The well-known account of emulators. */
export const emulatorAccount = {
  name: 'devstoreaccount1',
  key: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
} as const;

const startMs = 60_000;

/** Makes a container in the account of emulators. `url` is that of the server. */
export async function createContainer(url: string, name: string): Promise<void> {
  const credential = new StorageSharedKeyCredential(emulatorAccount.name, emulatorAccount.key);
  await new ContainerClient(`${url}/${emulatorAccount.name}/${name}`, credential).create();
}

/** Starts a server on a free port and returns its URL, without the account. */
export async function startAzurite(): Promise<{ readonly url: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'azurite-'));
  const args = [program, '--blobHost', '127.0.0.1', '--blobPort', '0', '-l', folder];
  const flags = ['--skipApiVersionCheck', '--disableTelemetry', '--disableProductStyleUrl'];
  const child = spawn(process.execPath, [...args, ...flags], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    await removeTree(folder);
  };
  const timer = setTimeout(() => child.kill('SIGKILL'), startMs);
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /successfully listen(?:s|ing)? on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
    if (url === undefined) continue;
    clearTimeout(timer);
    child.stdout.resume();
    return { url, [Symbol.asyncDispose]: stop };
  }
  clearTimeout(timer);
  await stop();
  throw new Error('azurite did not start.');
}
