import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { isThere } from '@soulbox/testing';
import { beforeAll, expect, test } from 'vitest';
import { needs } from '../harness/needs.ts';
import { useOwnTeam } from '../harness/own-team.ts';
import { killService, mounting, run } from './mounting.ts';

// PostgreSQL on a volume: `npm run workloads`. It needs the Debian package `postgresql` on the host.
needs('volumes');

beforeAll(async () => {
  await useOwnTeam('postgres');
});

const postgresFolder = '/usr/lib/postgresql';
const postgres = existsSync(postgresFolder) ? readdirSync(postgresFolder).sort().at(-1) : undefined;

/** The host's PostgreSQL with its libraries: sandboxes of the tests reach no package registry. */
function packPostgres(version: string): Buffer {
  const programs = ['postgres', 'initdb', 'pg_ctl', 'psql', 'pgbench', 'pg_checksums', 'pg_amcheck'];
  const bin = join(postgresFolder, version, 'bin');
  const libraries = programs.flatMap((name) =>
    [...execFileSync('ldd', [join(bin, name)], { encoding: 'utf8' }).matchAll(/=> (\/\S+)/g)].map(
      ([, path = '']) => path,
    ),
  );
  // The C library is that of the sandbox.
  const own = [...new Set(libraries)].filter(
    (path) => !/\/(libc|libm|libpthread|libdl|librt|libresolv)\.so/.test(path),
  );
  const list = [
    ...[bin, join(postgresFolder, version, 'lib'), join('/usr/share/postgresql', version)],
    ...own.flatMap((path) => [path, realpathSync(path)]),
  ];
  const excluded = ['bitcode', 'llvmjit*', 'man', '*.mo'].map((name) => `--exclude=${name}`);
  return execFileSync('tar', ['-czhf', '-', ...excluded, ...new Set(list)], {
    ...{ maxBuffer: 512 * 1024 * 1024, stdio: ['ignore', 'pipe', 'ignore'] },
  });
}

test.skipIf(!isThere('PostgreSQL', postgres !== undefined))(
  'PostgreSQL keeps each transaction over kills of the service and of itself',
  { timeout: 600_000 },
  async () => {
    const version = postgres ?? '';
    const sandbox = await mounting('postgres');
    await sandbox.files.write('/tmp/pg.tgz', new Blob([Uint8Array.from(packPostgres(version))]), { user: 'root' });
    await run(sandbox, 'tar -xzf /tmp/pg.tgz -C / --skip-old-files && ldconfig && rm /tmp/pg.tgz', 'root');
    const pg = `export PATH=${postgresFolder}/${version}/bin:$PATH PGDATA=/data/pg PGHOST=/tmp PGDATABASE=postgres LC_ALL=C;`;
    await run(sandbox, `${pg} initdb --data-checksums -U user`);
    const start = `${pg} pg_ctl start -w -t 120 -l /tmp/log -o "-k /tmp -c listen_addresses="`;
    await run(sandbox, start);
    await run(sandbox, `${pg} pgbench -i -q -s 2`);
    const load = sandbox.commands.run(`${pg} pgbench -n -c 4 -T 12`, { timeoutMs: 240_000 });
    for (let kill = 0; kill < 3; kill += 1) {
      await new Promise((resolve) => setTimeout(resolve, 3000));
      await killService();
    }
    expect((await load).stdout).toContain('number of failed transactions: 0');
    const sums = `${pg} psql -qAt -c "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history), (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history)"`;
    expect(await run(sandbox, sums)).toBe('t|t');

    const crash = sandbox.commands.run(`${pg} pgbench -n -c 4 -T 60`, { timeoutMs: 240_000 }).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await run(sandbox, 'kill -9 $(head -1 /data/pg/postmaster.pid)');
    await crash;
    await run(
      sandbox,
      `${pg} for try in $(seq 30); do pg_ctl status >/dev/null || break; sleep 0.2; done; sleep 1; ${start}`,
    );
    expect(await run(sandbox, sums)).toBe('t|t');
    expect(await run(sandbox, `${pg} pg_amcheck --install-missing --heapallindexed postgres && echo sound`)).toBe(
      'sound',
    );
    await run(sandbox, `${pg} pg_ctl stop -m fast -w`);
    expect(await run(sandbox, `${pg} pg_checksums --check`)).toMatch(/Bad checksums: +0/);
    await sandbox.kill();
  },
);
