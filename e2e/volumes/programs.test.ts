import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Sandbox } from 'e2b';
import { beforeAll, expect, test } from 'vitest';
import { needs } from '../harness/needs.ts';
import { useOwnTeam } from '../harness/own-team.ts';
import { killService, mounting, run } from './mounting.ts';

// What people run, on a volume. Some of it while the service of the volume is killed.
needs('volumes');

beforeAll(async () => {
  await useOwnTeam('programs');
});

/** Runs a program of Python from a file. */
async function python(sandbox: Sandbox, program: string): Promise<string> {
  await sandbox.files.write('/tmp/program.py', program);
  return await run(sandbox, 'cd /data && python3 /tmp/program.py');
}

test('npm ci, and the programs that it installs', { timeout: 300_000 }, async () => {
  const sandbox = await mounting('npm');
  await python(
    sandbox,
    `
import io, os, subprocess, tarfile
os.makedirs('app')
for n in range(30):
    with tarfile.open(f'app/p{n}.tgz', 'w:gz') as archive:
        def add(name, text, mode=0o644):
            info = tarfile.TarInfo('package/' + name); info.size = len(text); info.mode = mode
            archive.addfile(info, io.BytesIO(text.encode()))
        add('package.json', '{"name":"p%d","version":"1.0.0","bin":{"p%d":"bin.js"}}' % (n, n))
        add('bin.js', '#!/usr/bin/env node\\nprocess.stdout.write(require("./lib/39.js"))', 0o755)
        for file in range(40): add(f'lib/{file}.js', 'module.exports = "%d.%d";\\n' % (n, file) * 20)
names = ','.join(f'"p{n}":"file:p{n}.tgz"' for n in range(30))
open('app/package.json', 'w').write('{"name":"app","dependencies":{%s}}' % names)
`,
  );
  const npm = 'cd /data/app && npm --offline --no-audit --no-fund';
  await run(sandbox, `${npm} install --package-lock-only`);
  for (let round = 0; round < 2; round += 1) {
    const installing = run(sandbox, `${npm} ci`);
    await killService();
    await installing;
    expect(await run(sandbox, 'cd /data/app && find node_modules -type f | wc -l')).toBe(String(30 * 42 + 1));
    expect(await run(sandbox, '/data/app/node_modules/.bin/p7')).toBe('7.39');
  }
  await sandbox.kill();
});

test('a virtual environment of Python, and pip install', { tags: ['long'], timeout: 300_000 }, async () => {
  const sandbox = await mounting('pip');
  await python(
    sandbox,
    `
import zipfile
with zipfile.ZipFile('/tmp/mine-1.0-py3-none-any.whl', 'w') as wheel:
    for n in range(200): wheel.writestr(f'mine/m{n}.py', f'value = {n}\\n')
    wheel.writestr('mine/__init__.py', 'def main():\\n    from mine import m7\\n    print(m7.value)\\n')
    wheel.writestr('mine-1.0.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: mine\\nVersion: 1.0\\n')
    wheel.writestr('mine-1.0.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: hand\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr('mine-1.0.dist-info/entry_points.txt', '[console_scripts]\\nmine = mine:main\\n')
    wheel.writestr('mine-1.0.dist-info/RECORD', '')
`,
  );
  await run(sandbox, 'pip install --no-index --quiet --target /data/target /tmp/mine-1.0-py3-none-any.whl');
  expect(await run(sandbox, "PYTHONPATH=/data/target python3 -c 'import mine; mine.main()'")).toBe('7');
  await run(sandbox, 'python3 -m venv --without-pip --system-site-packages /data/venv');
  await run(sandbox, '/data/venv/bin/python -m pip install --no-index --quiet /tmp/mine-1.0-py3-none-any.whl');
  expect(await run(sandbox, '/data/venv/bin/mine')).toBe('7');
  await run(sandbox, '/data/venv/bin/python -m pip uninstall --quiet --yes mine');
  expect(await run(sandbox, 'ls /data/venv/lib/python3*/site-packages')).toBe('');
  await sandbox.kill();
});

test(
  'a build with the TypeScript compiler, of which only changes are built again',
  { tags: ['long'], timeout: 300_000 },
  async () => {
    const compiler = join(import.meta.dirname, '../../node_modules/typescript');
    const packed = execFileSync('tar', ['-czf', '-', '-C', compiler, 'package.json', 'bin', 'lib'], {
      maxBuffer: 256 * 1024 * 1024,
    });
    const sandbox = await mounting('build');
    await sandbox.files.write('/tmp/tsc.tgz', new Blob([Uint8Array.from(packed)]));
    await run(sandbox, 'mkdir /data/tsc && tar -xzf /tmp/tsc.tgz -C /data/tsc');
    await python(
      sandbox,
      `
import json, os
os.makedirs('src')
for n in range(120):
    before = f"import {{ f{n - 1} }} from './m{n - 1}.js';\\n" if n else ''
    open(f'src/m{n}.ts', 'w').write(f'{before}export const f{n} = (): number => {n}{f" + f{n - 1}()" if n else ""};\\n')
open('src/main.ts', 'w').write("import { f119 } from './m119.js';\\nconsole.log(f119());\\n")
options = dict(outDir='out', rootDir='src', incremental=True, module='nodenext', target='es2022', strict=True, types=[])
json.dump(dict(compilerOptions=options, include=['src']), open('tsconfig.json', 'w'))
json.dump(dict(type='module'), open('package.json', 'w'))
`,
    );
    const build = 'cd /data && node tsc/bin/tsc -p . && node out/main.js';
    expect(await run(sandbox, build)).toBe('7140');
    const times = 'cd /data && stat -c %Y.%y out/m5.js out/m6.js';
    const before = await run(sandbox, times);
    await run(sandbox, "cd /data && sed -i 's/=> 6 +/=> 1006 +/' src/m6.ts");
    expect(await run(sandbox, build)).toBe('8140');
    const [kept, changed] = (await run(sandbox, times)).split('\n');
    expect(before.split('\n')[0]).toBe(kept);
    expect(before.split('\n')[1]).not.toBe(changed);
    await sandbox.kill();
  },
);

test(
  'a git repository with thousands of files, and SQLite, over kills of the service',
  { tags: ['long'], timeout: 300_000 },
  async () => {
    const sandbox = await mounting('git');
    const work = run(
      sandbox,
      `cd /data && git init -q -b main repo && cd repo && git config user.name Ada && git config user.email ada@example.com &&
     for n in $(seq 40); do mkdir d$n; for m in $(seq 40); do echo $n $m > d$n/$m; done; done && git add -A && git commit -qm all &&
     git checkout -qb other && git mv d1 moved && git rm -rq d2 && git commit -qm moved && git checkout -q main && git merge -q other &&
     git clone -q . ../clone && git gc -q --aggressive && git worktree add -q ../tree other`,
    );
    const insert = python(
      sandbox,
      `
import sqlite3
db = sqlite3.connect('wal.db', timeout=60)
db.execute('PRAGMA journal_mode = WAL'); db.execute('PRAGMA synchronous = FULL')
db.execute('CREATE TABLE t (n INTEGER PRIMARY KEY, text)')
for n in range(1500):
    with db: db.execute('INSERT INTO t VALUES (?, ?)', (n, 'x' * 500))
print(*db.execute('SELECT count(*), sum(n) FROM t').fetchone(), *db.execute('PRAGMA integrity_check').fetchone())
`,
    );
    for (let kill = 0; kill < 2; kill += 1) {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      await killService();
    }
    await work;
    expect(await insert).toBe(`1500 ${(1499 * 1500) / 2} ok`);
    const check = 'git fsck --full 2>&1 | grep -v dangling; git status --short; git ls-files | wc -l';
    expect(await run(sandbox, `cd /data/repo && ${check}`)).toBe('1560');
    expect(await run(sandbox, `cd /data/clone && ${check}`)).toBe('1560');
    expect(await run(sandbox, 'ls /data/tree | wc -l; ls /data/tree/moved | wc -l')).toBe('39\n40');
    await sandbox.kill();
  },
);
