import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { findFreePort } from '@soulbox/testing';

const workerdInTemplate = 'opt/soulbox/edge/node_modules/@cloudflare/workerd-linux-64/bin/workerd';
const startTimeoutMs = 10_000;

/** The template's workerd, on the host and without a sandbox: the comparison for functions. */
export interface BareWorkerd extends AsyncDisposable {
  readonly port: number;
}

export async function startBareWorkerd(rootfs: string, source: string): Promise<BareWorkerd> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-bench-workerd-'));
  const port = await findFreePort();
  await writeFile(join(folder, 'function.js'), source);
  await writeFile(
    join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = (modules = [(name = "f", esModule = embed "function.js")], compatibilityDate = "2026-11-01"))],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "main")]
);
`,
  );
  const child = spawn(join(rootfs, workerdInTemplate), ['serve', join(folder, 'config.capnp')], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const giveUpAt = Date.now() + startTimeoutMs;
  while (
    !(await fetch(`http://127.0.0.1:${port}/`).then(
      (response) => response.ok,
      () => false,
    ))
  ) {
    if (Date.now() > giveUpAt || child.exitCode !== null) throw new Error('workerd did not start on the host');
    await sleep(10);
  }
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
      await removeTree(folder);
    },
  };
}
