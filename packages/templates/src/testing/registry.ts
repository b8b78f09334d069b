import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import { unpackDebianPackage } from './debian-package.ts';

export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, plain HTTP. */
  readonly address: string;
}

/** Starts Debian's docker-registry on a free loopback port. With `htpasswd` it requires a name and password. */
export async function startRegistry(directory: string, htpasswd?: string): Promise<Registry> {
  await mkdir(directory, { recursive: true });
  await unpackDebianPackage('docker-registry', directory);
  const address = `127.0.0.1:${await findFreePort()}`;
  const passwords = join(directory, 'htpasswd');
  if (htpasswd !== undefined) await writeFile(passwords, htpasswd);
  const config = {
    version: 0.1,
    log: { level: 'error' },
    storage: { filesystem: { rootdirectory: join(directory, 'data') } },
    http: { addr: address },
    ...(htpasswd === undefined ? {} : { auth: { htpasswd: { realm: 'test', path: passwords } } }),
  };
  const file = join(directory, 'config.yml');
  await writeFile(file, JSON.stringify(config));
  const child = spawn(join(directory, 'usr/bin/docker-registry'), ['serve', file], { stdio: 'ignore' });
  await waitUntilUp(address);
  return {
    address,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/**
 * Copies an image such as that of `makeImage` to `HOST:PORT/NAME:TAG`; `flags` are for skopeo, such as those of a
 * login.
 */
export async function pushImage(image: string, name: string, flags: readonly string[] = []): Promise<void> {
  const copy = ['--insecure-policy', 'copy', '--dest-tls-verify=false', ...flags];
  await run('skopeo', [...copy, image, `docker://${name}`], { timeoutMs: 300_000 });
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function waitUntilUp(address: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const up = await fetch(`http://${address}/v2/`).then(
      () => true,
      () => false,
    );
    if (up) return;
    await sleep(50);
  }
  throw new Error(`docker-registry did not answer on ${address}`);
}

const bcryptScript = `
import ctypes, ctypes.util, sys
crypt = ctypes.CDLL(ctypes.util.find_library('crypt')).crypt
crypt.restype = ctypes.c_char_p
print(crypt(sys.argv[1].encode(), b'$2y$05$abcdefghijklmnopqrstuu').decode())
`;

/**
 * The hash that htpasswd -B would print for a password: docker-registry accepts only bcrypt. Empty if libcrypt cannot
 * create it.
 */
export async function bcrypt(password: string): Promise<string> {
  return (await run('python3', ['-c', bcryptScript, password]).catch(() => '')).trim();
}
