import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { removeTree, run } from '@soulbox/base';
import { listHostInstances } from '@soulbox/box/host-instances';
import { listHostTraces, testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { buildPackages, packagesIn } from './build-packages.ts';
import type { Packages } from './build-packages.ts';
import { clientOptions } from './client-options.ts';
import { until } from '../harness/until.ts';
import { makeFreshRoot } from './fresh-root.ts';
import type { FreshRoot } from './fresh-root.ts';
import { tryStorage } from './storage.ts';
import type { RunSoulbox } from './storage.ts';
import { tryUnits } from './units.ts';

// `npm run test:packages`: builds and uses the packages of two versions. The Debian package in a bare Debian that
// systemd has booted, from installation to purge, with a sandbox and its volume that continue through the upgrade and
// through the restart of each unit. The npm package in a folder, also with an object store. `--packages DIR` uses existing packages, and `--debian FILE` a kept
// bare Debian.
const { values } = parseArgs({
  options: { packages: { type: 'string' }, debian: { type: 'string' }, instance: { type: 'string', default: '0' } },
});
const [oldVersion, newVersion] = ['0.1.0', '0.1.1'];
const instance = Number(values.instance);
const startedAt = Date.now();
const say = (text: string): void =>
  console.log(`${((Date.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${text}`);
await refuseBesideOthers();
const scratch = await mkdtemp(join(testDirectory, 'packages-'));

try {
  const older = await getPackages(oldVersion);
  const newer = await getPackages(newVersion);
  await tryDebianPackages(older.debian, newer.debian);
  await tryNpmPackage(newer.npm);
} finally {
  await removeTree(scratch);
}
say('both packages work');

/**
 * The removal in the bare Debian would delete objects of a server outside: it sees the network and control groups of
 * the server, but not the server.
 */
async function refuseBesideOthers(): Promise<void> {
  const others = (await listHostInstances()).filter(({ server, isBusy }) => server !== undefined || isBusy);
  if (others.length === 0) return;
  throw new Error(`Other servers use this machine: instance ${others.map((each) => each.instance).join(', ')}.`);
}

async function getPackages(version: string): Promise<Packages> {
  if (values.packages !== undefined) return packagesIn(values.packages, version);
  say(`makes the packages of ${version}`);
  return await buildPackages(join(scratch, 'dist'), version);
}

async function tryDebianPackages(older: string, newer: string): Promise<void> {
  say('makes a bare Debian');
  await using root = await makeFreshRoot(join(scratch, 'root'), values.debian ?? join(scratch, 'root.tar'));
  await root.run(['apt-get', 'update', '--quiet=2']);
  // Its download belongs to set-up and is tested there. Debian unstable must not decide the result of this test.
  const criu = '/usr/local/lib/soulbox';
  const hasCriu = existsSync(join(criu, 'criu/criu'));
  if (hasCriu) await cp(criu, join(root.directory, criu), { recursive: true });

  // The bare Debian uses the same npm registry as this machine.
  const registry = (await run('npm', ['config', 'get', 'registry'])).trim();
  const authorities = process.env['NODE_EXTRA_CA_CERTS'];
  if (authorities !== undefined) await copyFile(authorities, join(root.directory, 'root/ca.pem'));
  const trust = authorities === undefined ? '' : 'cafile=/root/ca.pem\n';
  await writeFile(join(root.directory, 'root/.npmrc'), `registry=${registry}\n${trust}`);

  const settings = { INSTANCE: instance, PORT: 4140, TLS_PORT: 4143, POOL_SIZE: 1 };
  const lines = Object.entries(settings).map(([name, value]) => `SOULBOX_${name}=${value}\n`);
  await mkdir(join(root.directory, 'etc/default'), { recursive: true });
  // npm looks for its settings there.
  await writeFile(join(root.directory, 'etc/default/soulbox'), `HOME=/root\n${lines.join('')}`);

  say(`installs ${basename(older)}; systemd starts the server, which builds its template`);
  await installDebian(root, older);
  assert.equal((await root.run(['soulbox', '--version'])).trim(), oldVersion);
  await awaitServer(root);
  const client = clientOptions(await root.run(['soulbox', 'env']));
  await root.run(['soulbox', 'volume', 'create', 'kept']);
  const sandbox = await Sandbox.create({ ...client, volumeMounts: { '/data': 'kept' }, timeoutMs: 600_000 });
  // It ends if the volume cannot be written.
  const program = 'set -e; while sleep 0.1; do echo >> /tmp/ticks; echo >> /data/ticks; done';
  const { pid } = await sandbox.commands.run(program, { background: true });
  const countTicks = async (): Promise<number> => (await sandbox.files.read('/tmp/ticks')).length;
  const countOnVolume = async (): Promise<number> =>
    (await root.run(['soulbox', 'volume', 'cat', 'kept:/ticks'])).length;
  /** What the program had written to the volume is there, for the command and in the sandbox, and more follows. */
  const checkVolume = async (atLeast: number): Promise<number> => {
    const now = await until('the program writes to the volume', async () => {
      const count = await countOnVolume();
      return count > atLeast ? count : undefined;
    });
    const inside = (await sandbox.commands.run('wc -c < /data/ticks')).stdout.trim();
    assert.ok(Number(inside) >= now, `the sandbox reads ${inside} of ${now} bytes`);
    return now;
  };
  let written = await checkVolume(0);

  say(`upgrades to ${basename(newer)} while a sandbox runs`);
  await installDebian(root, newer);
  await awaitServer(root);
  assert.equal((await root.run(['soulbox', '--version'])).trim(), newVersion);
  const processes = await sandbox.commands.list();
  assert.ok(
    processes.some((each) => each.pid === pid),
    'the program of the sandbox goes on',
  );
  const before = await countTicks();
  assert.ok(before > 20, `it ran on during the upgrade: ${before} ticks`);
  assert.equal((await sandbox.commands.run('sudo id -u')).stdout.trim(), '0');
  written = await checkVolume(written);
  if (hasCriu) {
    await sandbox.pause();
    await sandbox.connect();
    assert.ok((await countTicks()) >= before, 'it goes on after a pause');
    written = await checkVolume(written);
  } else say(`skipped: a pause, because ${criu} is missing here`);

  say('kills, stops and restarts its units');
  await tryUnits(root, async () => {
    const running = await sandbox.commands.list();
    assert.ok(
      running.some((each) => each.pid === pid),
      'the program of the sandbox goes on',
    );
    written = await checkVolume(written);
  });

  say('removes it, which ends the sandbox, and installs it again');
  await root.run(['apt-get', 'remove', '--yes', 'soulbox']);
  await root.run(['apt-get', 'install', '--yes', '--no-install-recommends', `/root/${basename(newer)}`]);
  await awaitServer(root);
  assert.ok((await countOnVolume()) >= written, 'the volume is there again');
  await Sandbox.create({ ...clientOptions(await root.run(['soulbox', 'env'])), volumeMounts: { '/data': 'kept' } });

  say('purges it while a sandbox runs');
  await root.run(['apt-get', 'purge', '--yes', 'soulbox']);
  const left = (await root.run(['find', '/', '-xdev', '-iname', '*soulbox*', '-not', '-path', '/root/*'])).trim();
  assert.equal(left, '', 'files are left');
  assert.doesNotMatch(await root.run(['getent', 'passwd']), /soulbox/, 'users are left');
  assert.deepEqual(await listHostTraces(instance), []);
}

async function installDebian(root: FreshRoot, file: string): Promise<void> {
  await copyFile(file, join(root.directory, 'root', basename(file)));
  const options = ['--yes', '--no-install-recommends', '--option=Dpkg::Options::=--force-confold'];
  await root.run(['apt-get', 'install', ...options, `/root/${basename(file)}`]);
}

/** Until systemd says that the server is ready. The package starts it and does not wait. */
async function awaitServer(root: FreshRoot): Promise<void> {
  const isActive = async (): Promise<boolean> => (await stateOf(root, 'soulbox')) === 'active';
  try {
    await until('the server is ready', isActive, 300_000);
  } catch (error) {
    console.error(await root.run(['journalctl', '--no-pager', '--lines=60', '--unit=soulbox*']));
    throw error;
  }
}

async function stateOf(root: FreshRoot, unit: string): Promise<string> {
  return (await root.run(['systemctl', 'show', '--property=ActiveState', '--value', unit])).trim();
}

async function tryNpmPackage(file: string): Promise<void> {
  say(`installs ${basename(file)}`);
  const prefix = join(scratch, 'npm');
  await run('npm', ['install', '--global', '--no-audit', '--no-fund', '--prefix', prefix, file], {
    timeoutMs: 600_000,
  });
  const program = join(prefix, 'bin/soulbox');
  const env = { ...process.env, SOULBOX_TEMPLATES_DIR: testTemplatesDirectory, SOULBOX_POOL_SIZE: '1' };
  const runInstalled: RunSoulbox = async (args, environment = {}) =>
    await run(program, args, { env: { ...env, ...environment }, timeoutMs: 300_000 });
  const soulbox = async (...args: readonly string[]): Promise<string> =>
    await runInstalled([...args, '--data-dir', join(scratch, 'data')]);
  const start = ['--instance', String(instance), '--port', '0', '--tls-port', '0'];
  say('starts the server');
  await soulbox('up', '--detach', ...start);
  try {
    const sandbox = await Sandbox.create(clientOptions(await soulbox('env')));
    assert.equal((await sandbox.commands.run('echo $((6 * 7))')).stdout.trim(), '42');
    await sandbox.kill();
  } finally {
    await soulbox('down');
  }
  assert.deepEqual(await listHostTraces(instance), []);
  say('uploads a sandbox with a volume to an object store, and recovers them');
  await tryStorage(runInstalled, scratch, start);
  assert.deepEqual(await listHostTraces(instance), []);
}
