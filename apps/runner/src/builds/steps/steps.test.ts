import { chmod, mkdir, mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import { makeTar } from '@soulbox/templates/testing';
import type { TarEntry } from '@soulbox/templates/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBuildLab } from '../testing/build-lab.ts';
import type { BuildLab, StepDraft } from '../testing/build-lab.ts';
import { askBuilt, env, linesOf, sh, user, workdir } from '../testing/steps.ts';

let lab: BuildLab;

beforeAll(async () => {
  lab = await openBuildLab(4, {});
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

describe('steps', () => {
  it('run one after the other, each in the context that the previous ones have left', async () => {
    const told = await lab.build([
      env('GREETING', 'hello', 'NAME', 'big world'),
      env('BOTH', '$GREETING ${NAME} `id` $(id)', 'LITERAL', String.raw`\$NAME`),
      sh('echo "$BOTH|$LITERAL|$USER|$PWD" >/tmp/first'),
      workdir('/srv/app'),
      sh('pwd >where; id -un >>where'),
      workdir('inner'),
      user('alice'),
      sh('echo "$HOME $(id -un) $PWD" >/tmp/second'),
      sh('id -un >/tmp/third', 'root'),
    ]);
    expect(linesOf(told, '3')).toEqual(['RUN echo "$BOTH|$LITERAL|$USER|$PWD" >/tmp/first']);
    expect(
      await askBuilt(
        lab,
        told,
        'cat /tmp/first /srv/app/where /tmp/second /tmp/third; id -un; pwd; echo "[$GREETING]"',
      ),
    ).toBe(
      [
        'hello big world `id` $(id)|$NAME|user|/home/user',
        '/srv/app',
        'user',
        '/home/alice alice /srv/app/inner',
        'root',
        'alice',
        '/srv/app/inner',
        '[]\n',
      ].join('\n'),
    );
  });

  it('take PATH and HOME from the shell that runs them', async () => {
    const told = await lab.build([env('PATH', '/opt/own:$PATH', 'AT', '$HOME/x'), sh('echo "$AT" >/tmp/at')]);
    expect(await askBuilt(lab, told, 'cat /tmp/at')).toBe('/home/user/x\n');
  });

  it('leave no process running, but keep their files under /tmp', async () => {
    const told = await lab.build([
      sh('sleep 1000 >/dev/null 2>&1 & echo $! >/tmp/pid'),
      sh('pgrep sleep >/tmp/left || true'),
    ]);
    expect(await askBuilt(lab, told, 'wc -c </tmp/left; pgrep sleep; echo done')).toBe('0\ndone\n');
  });

  it('log their output line by line', async () => {
    const told = await lab.build([sh('echo one; echo two >&2; printf three')]);
    const entries = told.log.filter(({ step }) => step === '1').map(({ level, message }) => `${level} ${message}`);
    expect(entries.slice(1).sort()).toEqual(['info one', 'info three', 'warn two']);
  });

  it.each([
    ['a command that fails', [sh('echo so; exit 7')], '1', "failed to run command 'echo so; exit 7': exit status 7"],
    [
      'a user who does not exist',
      [sh('true'), sh('id', 'nobodyhere')],
      '2',
      "failed to run command 'id': command failed: unauthenticated: invalid username: 'nobodyhere'",
    ],
    [
      'a step of an unknown type',
      [sh('true'), { type: 'SHELL', args: ['x'] }],
      '2',
      'The step type "SHELL" is not known.',
    ],
    ['a folder that is a file', [workdir('/etc/passwd/x')], '1', /^The folder \/etc\/passwd\/x cannot be created/],
    ['a user name that is an option', [user('--root')], '1', /cannot be created/],
    ['a variable without a value', [env('A')], '1', /ENV takes 2 to/],
  ])('of %s end the build with the reason and the step', async (_, steps, step, message) => {
    const told = await lab.build(steps);
    expect(told.done).toBeUndefined();
    expect(told.failed).toMatchObject({ step });
    if (typeof message === 'string') expect(told.failed?.message).toBe(message);
    else expect(told.failed?.message).toMatch(message);
    expect(await lab.leftovers()).toEqual([]);
  });

  it('that print endlessly fill neither the log nor memory', async () => {
    const told = await lab.build([sh('head -c 50000000 /dev/zero | tr "\\0" "x" | fold -w 1000')]);
    expect(told.done).toBeDefined();
    const size = told.log.reduce((sum, { message }) => sum + message.length, 0);
    expect(size).toBeLessThan(1_200_000);
    expect(linesOf(told, '1').at(-1)).toMatch(/^\d+ bytes of output were discarded\.$/);
  });

  it('that never end are killed at once when the build is canceled', async () => {
    const { buildId, told } = lab.start([sh('while true; do :; done')]);
    await sleep(1500);
    const canceledAt = performance.now();
    await lab.runner().call('cancelBuild', { buildId });
    await expect(told).rejects.toThrow(/abort|cancel/i);
    expect(await lab.leftovers()).toEqual([]);
    expect(performance.now() - canceledAt).toBeLessThan(3000);
  });
});

describe('a COPY', () => {
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(lab.directory, 'files-'));
    await mkdir(join(folder, 'src/deep'), { recursive: true });
    await writeFile(join(folder, 'src/a.txt'), 'a');
    await writeFile(join(folder, 'src/deep/run.sh'), '#!/bin/sh\necho ran\n');
    await chmod(join(folder, 'src/deep/run.sh'), 0o755);
    await symlink('a.txt', join(folder, 'src/link'));
    await writeFile(join(folder, 'single.txt'), 'single');
  });

  it('puts files, folders and links where docker would', async () => {
    const told = await lab.build([
      sh('mkdir -p /dst/deep && touch /dst/kept && chmod 711 /dst/deep', 'root'),
      await lab.copy(['src', '/dst'], { folder, gzip: true }),
      await lab.copy(['single.txt', '/one/two/'], { folder }),
      await lab.copy(['single.txt', '/renamed.txt', 'root', '0600'], { folder }),
      workdir('/work'),
      await lab.copy(['src/*', 'rel'], { folder }),
      await lab.copy(['single.txt', '.'], { folder }),
      await lab.copy(['.', '/all', 'root:user', ''], { folder }),
    ]);
    const seen = await askBuilt(
      lab,
      told,
      'cd /; stat -c "%n %U:%G %a" dst dst/deep dst/deep/run.sh dst/kept one/two/single.txt renamed.txt work/rel/a.txt all/src; ' +
        'readlink dst/link work/rel/link; cat dst/link one/two/single.txt work/single.txt; echo; dst/deep/run.sh; ls -A / | grep soulbox',
    );
    expect(seen.split('\n')).toEqual([
      'dst root:root 755',
      'dst/deep root:root 711',
      'dst/deep/run.sh user:user 755',
      'dst/kept root:root 644',
      'one/two/single.txt user:user 644',
      'renamed.txt root:root 600',
      'work/rel/a.txt user:user 644',
      'all/src root:user 755',
      'a.txt',
      'a.txt',
      'asinglesingle',
      'ran',
      '.soulbox',
      '',
    ]);
  });
});

describe('a COPY of a hostile archive', () => {
  const tar = async (entries: readonly TarEntry[], args = ['.', '/dst']) => await lab.copy(args, makeTar(entries));

  it('cannot reach files of the host through its links', async () => {
    const victim = join(lab.directory, 'victim');
    await writeFile(victim, 'untouched');
    const told = await lab.build([
      await tar([
        { name: 'out', type: '2', linkName: lab.directory },
        { name: 'out/victim', type: '0', content: 'changed' },
      ]),
    ]);
    expect(told.failed?.reason).toBe('build_failed');
    expect(await readFile(victim, 'utf8')).toBe('untouched');
  });

  it.each([
    ['names with ..', [{ name: '../../etc/evil', type: '0', content: 'x' }], /\.\./],
    ['devices', [{ name: 'sda', type: '4', device: [8, 0] }], /Operation not permitted/],
  ] as [string, TarEntry[], RegExp][])('with %s is refused with the message of tar', async (_, entries, words) => {
    const told = await lab.build([await tar(entries)]);
    const message = expect.stringMatching(words) as string;
    expect(told.failed).toMatchObject({ reason: 'build_failed', step: '1', message });
    expect(await lab.leftovers()).toEqual([]);
  });

  it('that is not an archive, or lacks the source, is refused', async () => {
    const noTar = await lab.build([await lab.copy(['.', '/dst'], Buffer.from('not a tar file'.repeat(100)))]);
    expect(noTar.failed?.message).toMatch(/^failed to copy '.' to '\/dst': .*tar/);
    const other = await lab.build([await tar([{ name: 'a', type: '0' }], ['b', '/dst'])]);
    expect(other.failed?.message).toBe("failed to copy 'b' to '/dst': the uploaded archive has no such file");
    const filesKey = Buffer.alloc(32).toString('base64');
    const none = { type: 'COPY', args: ['a', 'b'], filesBlobKey: 'test/none', filesHash: 'none', filesKey };
    expect((await lab.build([none])).failed?.message).toBe("The files of COPY 'a' were not uploaded.");
    const keyless = await lab.build([{ ...none, filesKey: '' }]);
    expect(keyless.failed).toMatchObject({ reason: 'bad_request', message: 'COPY has no key of its files.' });
    const up = await lab.build([await tar([{ name: 'a', type: '0' }], ['../a', '/dst'])]);
    expect(up.failed?.message).toBe("'../a' is outside the build folder.");
  });

  it('that somebody changed, exchanged or put there readable on the disk of the host is refused', async () => {
    const [one, other] = [await tar([{ name: 'a', type: '0' }]), await tar([{ name: 'b', type: '0' }])];
    const fileOf = ({ filesBlobKey = '' }: StepDraft): string =>
      join(lab.directory, 'uploads', filesBlobKey.replace('/', '~'));
    const whole = await readFile(fileOf(one));
    const changed = Buffer.from(whole);
    changed[changed.length - 100] = 1 ^ (changed[changed.length - 100] ?? 0);
    const readable = makeTar([{ name: 'evil', type: '0' }]);
    for (const content of [changed, whole.subarray(0, -1), await readFile(fileOf(other)), readable]) {
      await writeFile(fileOf(one), content);
      const { failed } = await lab.build([one]);
      const message = `The uploaded files of COPY '.' are damaged on the server. Build again and upload them again.`;
      expect(failed).toMatchObject({ reason: 'state_damaged', step: '1', message });
    }
    // What an earlier version stored is used only if the control plane says that there is such a thing.
    expect((await lab.build([{ ...one, filesMayBeReadable: true }])).done).toBeDefined();
    expect(await lab.leftovers()).toEqual([]);
  });

  it('with a sparse file of 100 GiB uses no disk space', async () => {
    const folder = await mkdtemp(join(lab.directory, 'sparse-'));
    await run('truncate', ['-s', '100G', join(folder, 'huge')]);
    const archive = join(lab.directory, 'sparse.tar');
    await run('tar', ['-S', '-cf', archive, '-C', folder, '.']);
    const told = await lab.build([await lab.copy(['.', '/dst'], await readFile(archive))]);
    expect(await askBuilt(lab, told, 'stat -c "%s" /dst/huge')).toBe('107374182400\n');
    expect(Number(told.done?.snapshot.sizeBytes)).toBeLessThan(500 * 2 ** 20);
  });
});
