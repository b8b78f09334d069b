import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { installPackages } from '@soulbox/host';

/** The data folder of tests and benchmarks; the same as in packages/testing. */
export const testDirectory = '/var/lib/soulbox-test';

const repository = join(import.meta.dirname, '..');

/** Runs a program of the workspace with our output and returns its exit code; 128 and more for a signal. */
export async function runVisibly(command: string, args: readonly string[]): Promise<number> {
  const child = spawn(command, [...args], { cwd: repository, stdio: ['ignore', 'inherit', 'inherit'] });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, forward);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code ?? 128;
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, forward);
  }
}

const soulbox = async (...args: string[]): Promise<number> =>
  await runVisibly(process.execPath, ['apps/cli/src/main.ts', ...args]);

/** Prepares the host for tests, including programs that only they need; returns the exit code of a failed step. */
export async function prepareForTests(): Promise<number> {
  const code = await soulbox('setup', '--install', '--data-dir', testDirectory);
  if (code !== 0) return code;
  for (const { proof, names } of testPrograms) if (!existsSync(proof)) await installForTests(names);
  if (!existsSync(azuriteFolder)) await installAzurite();
  return code;
}

/**
 * By a file whose presence shows that it is installed: a browser for a desktop, the program that kills servers at a
 * system call, a witness of audit logs, the HTTP library of Python's clients, a real kernel, a PKCS #11 module, a
 * maker of certificates, a SOCKS proxy, clients of SSH and over it, the reader of Java's trust stores, an S3 server,
 * two that try file systems, two caches, a profiler, and another container engine.
 */
const testPrograms = [
  { proof: '/usr/bin/chromium', names: ['chromium'] },
  { proof: '/usr/bin/strace', names: ['strace'] },
  { proof: '/usr/bin/sigsum-witness', names: ['sigsum-go'] },
  { proof: '/usr/lib/python3/dist-packages/httpx', names: ['python3-httpx'] },
  { proof: '/usr/lib/python3/dist-packages/ipykernel', names: ['python3-ipykernel', 'python3-matplotlib'] },
  { proof: '/usr/lib/softhsm/libsofthsm2.so', names: ['softhsm2'] },
  { proof: '/usr/bin/openssl', names: ['openssl'] },
  { proof: '/usr/bin/microsocks', names: ['microsocks'] },
  { proof: '/usr/bin/sftp', names: ['openssh-client'] },
  { proof: '/usr/bin/rsync', names: ['rsync'] },
  { proof: '/usr/bin/keytool', names: ['default-jre-headless'] },
  { proof: '/usr/lib/python3/dist-packages/flask_cors', names: ['python3-moto', 'python3-flask-cors'] },
  { proof: '/usr/bin/stress-ng', names: ['stress-ng'] },
  { proof: '/usr/bin/fio', names: ['fio'] },
  { proof: '/usr/bin/valkey-server', names: ['valkey-server'] },
  { proof: '/usr/sbin/nginx', names: ['nginx'] },
  { proof: '/usr/bin/perf', names: ['linux-perf'] },
  { proof: '/usr/bin/podman', names: ['podman', 'netavark', 'aardvark-dns'] },
] as const;

/** A few tests need them. If they cannot be installed, those tests say so and are skipped, or fail in CI. */
async function installForTests(names: readonly string[]): Promise<void> {
  try {
    await installPackages(names, (step) => console.log(`For a test: ${step}`));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  }
}

/** Microsoft's Azure server for tests; the same as in packages/storage/src/testing. */
const azuriteVersion = '3.37.0';
const azuriteFolder = join(testDirectory, `azurite-${azuriteVersion}`);

/** Not a dependency of the workspace, because it brings 236 others (240 MB). */
async function installAzurite(): Promise<void> {
  console.log('For a test: azurite');
  const draft = `${azuriteFolder}.draft`;
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-save'];
  const code = await runVisibly('npm', ['install', '--prefix', draft, ...flags, `azurite@${azuriteVersion}`]);
  if (code === 0) await rename(draft, azuriteFolder);
}

/** The templates that tests use, in two lanes of about the same duration: building one keeps one CPU busy. */
const templateLanes = [
  ['code-interpreter-v1', 'mcp-gateway'],
  ['desktop', 'edge', 'runtimes'],
];

/** Creates the missing ones; returns the exit code of the first failure. */
export async function makeTestTemplates(): Promise<number> {
  const codes = await Promise.all(
    templateLanes.map(async (names) => {
      let code = 0;
      for (const name of names) code ||= await soulbox('template', 'make', name, '--data-dir', testDirectory);
      return code;
    }),
  );
  return codes.find((code) => code !== 0) ?? 0;
}

/** Prepares the host and creates our missing templates. */
export async function prepareTemplates(args: readonly string[]): Promise<number> {
  const prepared = await soulbox('setup', '--install', ...args);
  return prepared === 0 ? await soulbox('template', 'make', '--all', ...args) : prepared;
}
