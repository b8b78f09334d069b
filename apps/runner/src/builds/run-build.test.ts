import { chmod, mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { randomId, removeTree, run, sleep } from '@soulbox/base';
import { bcrypt, makeBusyboxRootfs, makeImage, makeTar, pushImage, startRegistry } from '@soulbox/templates/testing';
import type { Registry, TarEntry } from '@soulbox/templates/testing';
import { testDirectory } from '@soulbox/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBuildLab } from './testing/build-lab.ts';
import type { BuildLab, Told } from './testing/build-lab.ts';

let lab: BuildLab;
let registryDirectory: string;
let registry: Registry;
/**
 * A registry that requires the password `secret-of-alice` of alice. Undefined where such a registry cannot be started.
 */
let locked: Registry | undefined;

beforeAll(async () => {
  await mkdir(testDirectory, { recursive: true, mode: 0o700 });
  registryDirectory = await mkdtemp(join(testDirectory, 'registry-'));
  registry = await startRegistry(join(registryDirectory, 'open'));
  const hash = await bcrypt('secret-of-alice');
  if (hash !== '') locked = await startRegistry(join(registryDirectory, 'locked'), `alice:${hash}\n`);
  lab = await openBuildLab(10, {
    SOULBOX_BUILD_READY_SECONDS: '3',
    SOULBOX_MAX_BUILDS: '2',
    SOULBOX_IMAGES: `e2bdev/base:*=template:base,box:*=${registry.address}/boxes/box:*`,
    // No server listens on the second port.
    SOULBOX_INSECURE_REGISTRIES: [registry, locked].map((one) => one?.address ?? '127.0.0.1:9').join() + ',127.0.0.1:9',
  });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await locked?.[Symbol.asyncDispose]();
  await removeTree(registryDirectory);
});

/** A step of one command. */
const sh = (command: string, user?: string) => ({
  type: 'RUN',
  args: user === undefined ? [command] : [command, user],
});
const env = (...args: string[]) => ({ type: 'ENV', args });
const workdir = (path: string) => ({ type: 'WORKDIR', args: [path] });
const user = (name: string) => ({ type: 'USER', args: [name] });
const linesOf = ({ log }: Told, step: string): string[] =>
  log.filter((entry) => entry.step === step).map(({ message }) => message);

/** The output of a command in a sandbox of a build that must have succeeded. */
async function askBuilt(told: Told, command: string): Promise<string> {
  expect(told.failed).toBeUndefined();
  const sandboxId = await lab.create(told.buildId);
  try {
    return await lab.ask(sandboxId, command);
  } finally {
    await lab.kill(sandboxId);
  }
}

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
      await askBuilt(told, 'cat /tmp/first /srv/app/where /tmp/second /tmp/third; id -un; pwd; echo "[$GREETING]"'),
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
    expect(await askBuilt(told, 'cat /tmp/at')).toBe('/home/user/x\n');
  });

  it('leave no process running, but keep their files under /tmp', async () => {
    const told = await lab.build([
      sh('sleep 1000 >/dev/null 2>&1 & echo $! >/tmp/pid'),
      sh('pgrep sleep >/tmp/left || true'),
    ]);
    expect(await askBuilt(told, 'wc -c </tmp/left; pgrep sleep; echo done')).toBe('0\ndone\n');
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
    expect(linesOf(told, '1').at(-1)).toMatch(/^\d+ bytes of output were left out\.$/);
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
    const gone = await lab.build([{ type: 'COPY', args: ['a', 'b'], filesBlobKey: 'test/none', filesHash: 'none' }]);
    expect(gone.failed?.message).toBe("The files of COPY 'a' were not uploaded.");
    const up = await lab.build([await tar([{ name: 'a', type: '0' }], ['../a', '/dst'])]);
    expect(up.failed?.message).toBe("'../a' is outside the build folder.");
  });

  it('with a sparse file of 100 GiB uses no disk space', async () => {
    const folder = await mkdtemp(join(lab.directory, 'sparse-'));
    await run('truncate', ['-s', '100G', join(folder, 'huge')]);
    const archive = join(lab.directory, 'sparse.tar');
    await run('tar', ['-S', '-cf', archive, '-C', folder, '.']);
    const told = await lab.build([await lab.copy(['.', '/dst'], await readFile(archive))]);
    expect(await askBuilt(told, 'stat -c "%s" /dst/huge')).toBe('107374182400\n');
    expect(Number(told.done?.snapshot.sizeBytes)).toBeLessThan(500 * 2 ** 20);
  });
});

describe('an image', () => {
  const fromImage = (reference: string, more: object = {}) => ({
    baseTemplateId: undefined,
    image: { reference, ...more },
  });
  let layout: string;

  beforeAll(async () => {
    const rootfs = join(registryDirectory, 'rootfs');
    await makeBusyboxRootfs(rootfs);
    await mkdir(join(rootfs, 'usr/local/lib'), { recursive: true });
    await writeFile(join(rootfs, 'usr/local/lib/file'), '');
    layout = await makeImage(rootfs, join(registryDirectory, 'layout'), {
      user: 'app',
      environment: ['FROM_IMAGE=yes'],
    });
    await pushImage(layout, `${registry.address}/boxes/box:1`);
  });

  it('is fetched once, and its sandboxes belong to `user`', async () => {
    const steps = [sh('id -un >/tmp/who; echo $FROM_IMAGE >>/tmp/who')];
    const first = await lab.build(steps, fromImage(`${registry.address}/boxes/box:1`));
    expect(first.failed).toBeUndefined();
    expect(linesOf(first, 'base')).toContain('fetching the image');
    const second = await lab.build([...steps, user('app'), workdir('/srv/made'), sh('pwd >where')], fromImage('box:1'));
    expect(second.failed).toBeUndefined();
    expect(second.done?.cachedSteps).toBe(1);
    expect(linesOf(second, 'base')).toEqual([`box:1 is taken from ${registry.address}/boxes/box:1`]);
    const shown = await askBuilt(second, 'cat /tmp/who where; id -un; stat -c "%n %a" /code /usr/local/lib/file');
    expect(shown).toBe('user\nyes\n/srv/made\napp\n/code 777\n/usr/local/lib/file 777\n');
    expect((await lab.runner().call('listTemplates', {}))['templates']).toHaveLength(1);
  });

  it('with a mapped name is a local template', async () => {
    const told = await lab.build([], fromImage('docker.io/e2bdev/base'));
    expect(linesOf(told, 'base')).toEqual(['e2bdev/base:latest is the template base here']);
    expect(told.done).toBeDefined();
  });

  it('that is being fetched when its build is canceled leaves nothing', async () => {
    let canceled = 0;
    for (const afterMs of [100, 250, 400]) {
      // A different image each time. Otherwise it would exist already if one import ended before its build was
      // canceled.
      const tag = randomId(12);
      const environment = [`CANCELED=${tag}`];
      const layout = join(registryDirectory, `layout-${tag}`);
      const image = await makeImage(join(registryDirectory, 'rootfs'), layout, { environment });
      await pushImage(image, `${registry.address}/boxes/canceled:${tag}`);
      const { buildId, told } = lab.start([], fromImage(`${registry.address}/boxes/canceled:${tag}`));
      const outcome = told.catch((error: unknown) => String(error));
      await sleep(afterMs);
      await lab.runner().call('cancelBuild', { buildId });
      const ended = await outcome;
      if (typeof ended === 'string') expect(ended).toMatch(/abort|cancel/i);
      canceled += typeof ended === 'string' ? 1 : 0;
    }
    expect(canceled).toBeGreaterThan(0);
    const drafts = async (): Promise<string[]> =>
      (await readdir(join(lab.directory, 'templates'))).filter((name) => name.startsWith('.'));
    for (let tries = 0; tries < 50 && (await drafts()).length > 0; tries++) await sleep(100);
    expect(await drafts()).toEqual([]);
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(`${lab.directory}/templates/.`);
  });

  it('that cannot be fetched fails the build with the reason', async () => {
    const reasons = async (reference: string): Promise<string> => {
      const { failed } = await lab.build([], fromImage(reference));
      expect(failed).toMatchObject({ reason: 'image_unavailable', step: 'base' });
      return failed?.message ?? '';
    };
    expect(await reasons(`${registry.address}/boxes/none:1`)).toMatch(/manifest unknown|name unknown/i);
    expect(await reasons('--bad name')).toMatch(/is not a valid image name/);
    expect(await reasons('127.0.0.1:1/a/b')).toMatch(/has a private address/);
    expect(await reasons('no.such.host.invalid/a/b')).toMatch(/was not found/);
    expect(await reasons('127.0.0.1:9/a/b')).toMatch(/cannot be reached/);
    expect(await readdir(join(lab.directory, 'run/images'))).toEqual([]);
  });
});

describe('an image of a registry with a password', () => {
  it('requires the right password, which is not stored', async (context) => {
    if (locked === undefined) return context.skip('libcrypt here cannot make a bcrypt hash');
    const { address } = locked;
    const login = ['--dest-creds', 'alice:secret-of-alice'];
    // A different image from the one above. Otherwise it would not have to be fetched.
    const rootfs = join(registryDirectory, 'rootfs');
    const image = await makeImage(rootfs, join(registryDirectory, 'layout-locked'), { environment: ['LOCKED=1'] });
    await pushImage(image, `${address}/box:1`, login);
    const build = async (password: string | undefined): Promise<Told> => {
      const credentials = password === undefined ? {} : { credentials: { basic: { username: 'alice', password } } };
      return await lab.build([], {
        baseTemplateId: undefined,
        image: { reference: `${address}/box:1`, ...credentials },
      });
    };
    expect((await build('wrong')).failed?.message).toMatch(/unauthorized|authentication required/i);
    expect((await build(undefined)).failed?.message).toMatch(/unauthorized|authentication required/i);
    expect((await build('secret-of-alice')).done).toBeDefined();
    // The host now has the image, but a caller without the password still does not get it.
    expect((await build(undefined)).failed?.reason).toBe('image_unavailable');
    await expect(run('grep', ['-rl', 'secret-of-alice', lab.directory])).rejects.toThrow('exit 1');
  });
});

describe('the layer cache', () => {
  const [stamp, variable, last] = [sh('date +%N >/tmp/stamp'), env('A', '1'), sh('echo $A >/tmp/a')];
  const steps = [stamp, variable, last];

  it('returns the result of an equal build, and force builds it again', async () => {
    const first = await lab.build(steps);
    const startedAt = performance.now();
    const second = await lab.build(steps);
    const cachedMs = performance.now() - startedAt;
    const forced = await lab.build(steps, { force: true });
    const partly = await lab.build([stamp, variable, { ...last, force: true }]);
    expect([first, second, forced, partly].map(({ done }) => done?.cachedSteps ?? 0)).toEqual([0, 3, 0, 2]);
    const stamps = [];
    for (const told of [first, second, forced, partly]) stamps.push(await askBuilt(told, 'cat /tmp/stamp'));
    expect(stamps[1]).toBe(stamps[0]);
    expect(stamps[2]).not.toBe(stamps[0]);
    expect(stamps[3]).toBe(stamps[2]);
    expect(cachedMs).toBeLessThan(1000);
  });

  it('is not shared with another team', async () => {
    expect((await lab.build(steps, { teamId: 't2' })).done?.cachedSteps ?? 0).toBe(0);
  });

  it('keeps the steps before the one that failed', async () => {
    const good = sh('date +%N >/tmp/good');
    expect((await lab.build([good, sh('exit 1')])).failed?.step).toBe('2');
    expect((await lab.build([good, sh('true')])).done?.cachedSteps).toBe(1);
  });

  it('survives a restart of the runner', async () => {
    await lab.crash();
    expect((await lab.build(steps)).done?.cachedSteps).toBe(3);
  });
});

describe('start and ready command', () => {
  it('leave processes that run in every sandbox', async () => {
    const told = await lab.build([env('PORT', '8123'), workdir('/srv')], {
      startCommand: 'echo serving; exec python3 -m http.server $PORT',
      readyCommand: '[ -n "$(ss -Htuln sport = :$PORT)" ]',
    });
    expect(linesOf(told, 'finalize')).toContain('serving');
    expect(
      await askBuilt(told, 'curl -s -o /dev/null -w "%{http_code}" localhost:8123; echo " $PORT"; cat /.e2b'),
    ).toBe(`200 \nENV_ID=tpl1\nTEMPLATE_ID=tpl1\nBUILD_ID=${told.buildId}\n`);
  });

  it('that end or are never ready fail the build', async () => {
    const ended = await lab.build([], { startCommand: 'echo oh no; exit 3', readyCommand: 'false' });
    expect(ended.failed).toMatchObject({
      reason: 'build_failed',
      step: 'finalize',
      message: "failed to run command 'echo oh no; exit 3': the start command ended: exit status 3",
    });
    const never = await lab.build([], { startCommand: 'sleep 1000', readyCommand: 'exit 4' });
    expect(never.failed?.message).toBe(
      "failed to run command 'exit 4': the ready command did not succeed within 3 s: exit status 4",
    );
    const hangs = await lab.build([], { readyCommand: 'sleep 1000' });
    expect(hangs.failed?.message).toMatch(/within 3 s: still running/);
    expect(await lab.leftovers()).toEqual([]);
  });
});

describe('builds', () => {
  it('with gVisor give sandboxes with gVisor, in which the started program runs', async (context) => {
    const runsc = await run('runsc', ['--version']).catch(() => '');
    context.skip(runsc === '', 'there is no runsc on this host');
    const told = await lab.build([sh('uname -r >/tmp/kernel')], {
      isolation: 'gvisor',
      startCommand: 'exec python3 -m http.server 8124',
      readyCommand: 'curl -s localhost:8124',
    });
    const shown = await askBuilt(told, 'cat /tmp/kernel; curl -s -o /dev/null -w "%{http_code}" localhost:8124');
    expect(shown.endsWith('\n200')).toBe(true);
    expect(shown.startsWith(release())).toBe(false);
  });

  it('can start from another build', async () => {
    const first = await lab.build([sh('echo first >/tmp/one'), env('KEPT', 'yes'), workdir('/opt')]);
    const second = await lab.build([sh('echo "$KEPT $PWD" >/tmp/two')], {
      baseTemplateId: undefined,
      baseBuildId: first.buildId,
    });
    expect(await askBuilt(second, 'cat /tmp/one /tmp/two')).toBe('first\nyes /opt\n');
  });

  it('beyond the limit are refused, and the running ones are not affected', async () => {
    const slow = ['a', 'b'].map((text) => lab.start([sh(`sleep 2; echo ${text} >/tmp/x`)]));
    await sleep(300);
    expect((await lab.build([sh('true')])).failed?.reason).toBe('too_many_builds');
    const shown = [];
    for (const { told } of slow) shown.push(await askBuilt(await told, 'cat /tmp/x'));
    expect(shown).toEqual(['a\n', 'b\n']);
  });

  it('are not listed as sandboxes while they run', async () => {
    const { told } = lab.start([sh('sleep 2')]);
    while ((await readdir(join(lab.directory, 'sandboxes'))).length === 0) await sleep(20);
    await sleep(500);
    expect((await lab.runner().call('listSandboxes', {}))['sandboxes']).toBeUndefined();
    expect(await readdir(join(lab.directory, 'sandboxes'))).not.toEqual([]);
    await told;
  });

  it('end with an error that names the reason when the runner stops', async () => {
    const { told } = lab.start([sh('sleep 100')]);
    await sleep(1500);
    await lab.stop();
    expect((await told).failed).toMatchObject({ reason: 'shutting_down', step: '1' });
    expect(await lab.leftovers()).toEqual([]);
  });

  it('leave nothing but their cached finished steps after the runner was killed', async () => {
    const done = sh('echo done >/tmp/done');
    const countEntries = async (): Promise<number> => (await readdir(join(lab.directory, 'build-cache'))).length;
    const before = await countEntries();
    const { told } = lab.start([done, sh('sleep 100')]);
    const outcome = expect(told).rejects.toThrow('the runner ended');
    while ((await countEntries()) === before) await sleep(20);
    await sleep(200);
    await lab.crash();
    await outcome;
    expect(await lab.leftovers()).toEqual([]);
    expect((await lab.build([done])).done?.cachedSteps).toBe(1);
  });
});
