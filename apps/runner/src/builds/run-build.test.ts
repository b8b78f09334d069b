import { mkdir, mkdtemp, readdir, symlink, writeFile, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '@soulbox/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBuildLab } from './testing/build-lab.ts';
import type { BuildLab, Told } from './testing/build-lab.ts';

let lab: BuildLab;

beforeAll(async () => {
  lab = await openBuildLab(10, { SOULBOX_BUILD_READY_SECONDS: '3', SOULBOX_MAX_BUILDS: '2' });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
});

/** A step of one command. */
const sh = (command: string, user?: string) => ({ type: 'RUN', args: user === undefined ? [command] : [command, user] });
const env = (...args: string[]) => ({ type: 'ENV', args });
const workdir = (path: string) => ({ type: 'WORKDIR', args: [path] });
const user = (name: string) => ({ type: 'USER', args: [name] });
const linesOf = ({ log }: Told, step: string): string[] => log.filter((entry) => entry.step === step).map(({ message }) => message);

/** What a command prints in a sandbox of a build that must have succeeded. */
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
  it('run one after the other, each in the context that those before have left', async () => {
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
    expect(await askBuilt(told, 'cat /tmp/first /srv/app/where /tmp/second /tmp/third; id -un; pwd; echo "[$GREETING]"')).toBe(
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

  it('leave nothing running, and what they wrote under /tmp', async () => {
    const told = await lab.build([sh('sleep 1000 >/dev/null 2>&1 & echo $! >/tmp/pid'), sh('pgrep sleep >/tmp/left || true')]);
    expect(await askBuilt(told, 'wc -c </tmp/left; pgrep sleep; echo done')).toBe('0\ndone\n');
  });

  it('tell what they print, line by line', async () => {
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
    ['a step of an unknown type', [sh('true'), { type: 'SHELL', args: ['x'] }], '2', 'The step type "SHELL" is not known.'],
    ['a folder that is a file', [workdir('/etc/passwd/x')], '1', /^The folder \/etc\/passwd\/x cannot be made/],
    ['a user name that is an option', [user('--root')], '1', /none can be made/],
    ['a variable without a value', [env('A')], '1', /ENV takes 2 to/],
  ])('of %s end the build with the reason and the step', async (_, steps, step, message) => {
    const told = await lab.build(steps);
    expect(told.done).toBeUndefined();
    expect(told.failed).toMatchObject({ step, message: typeof message === 'string' ? message : expect.stringMatching(message) });
    expect(await lab.leftovers()).toEqual([]);
  });

  it('that print without end fill neither log nor memory', async () => {
    const told = await lab.build([sh('head -c 100000000 /dev/zero | tr "\\0" "x" | fold -w 1000')]);
    expect(told.done).toBeDefined();
    const size = told.log.reduce((sum, { message }) => sum + message.length, 0);
    expect(size).toBeLessThan(1_200_000);
    expect(linesOf(told, '1').at(-1)).toMatch(/^\d+ bytes of output were left out\.$/);
  });

  it('that never end are killed when the build is canceled, at once', async () => {
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

describe('the layer cache', () => {
  const steps = [sh('date +%N >/tmp/stamp'), env('A', '1'), sh('echo $A >/tmp/a')];

  it('gives what an equal build has made, and force makes it anew', async () => {
    const first = await lab.build(steps);
    const startedAt = performance.now();
    const second = await lab.build(steps);
    const cachedMs = performance.now() - startedAt;
    const forced = await lab.build(steps, { force: true });
    const partly = await lab.build([steps[0]!, steps[1]!, { ...steps[2]!, force: true }]);
    expect([first, second, forced, partly].map(({ done }) => done?.cachedSteps ?? 0)).toEqual([0, 3, 0, 2]);
    const stamps = [];
    for (const told of [first, second, forced, partly]) stamps.push(await askBuilt(told, 'cat /tmp/stamp'));
    expect(stamps[1]).toBe(stamps[0]);
    expect(stamps[2]).not.toBe(stamps[0]);
    expect(stamps[3]).toBe(stamps[2]);
    expect(cachedMs).toBeLessThan(1000);
  });

  it('is of no use to another team', async () => {
    expect((await lab.build(steps, { teamId: 't2' })).done?.cachedSteps ?? 0).toBe(0);
  });

  it('keeps the steps before the one that failed', async () => {
    const good = sh('date +%N >/tmp/good');
    expect((await lab.build([good, sh('exit 1')])).failed?.step).toBe('2');
    expect((await lab.build([good, sh('true')])).done?.cachedSteps).toBe(1);
  });

  it('outlives the runner', async () => {
    await lab.crash();
    expect((await lab.build(steps)).done?.cachedSteps).toBe(3);
  });
});

describe('start and ready command', () => {
  it('leave processes that live in every sandbox', async () => {
    const told = await lab.build([env('PORT', '8123'), workdir('/srv')], {
      startCommand: 'echo serving; exec python3 -m http.server $PORT',
      readyCommand: '[ -n "$(ss -Htuln sport = :$PORT)" ]',
    });
    expect(linesOf(told, 'finalize')).toContain('serving');
    expect(await askBuilt(told, 'curl -s -o /dev/null -w "%{http_code}" localhost:8123; echo " $PORT"; cat /.e2b')).toBe(
      `200 \nENV_ID=tpl1\nTEMPLATE_ID=tpl1\nBUILD_ID=${told.buildId}\n`,
    );
  });

  it('that end or are never ready fail the build', async () => {
    const ended = await lab.build([], { startCommand: 'echo oh no; exit 3', readyCommand: 'false' });
    expect(ended.failed).toMatchObject({
      reason: 'build_failed',
      step: 'finalize',
      message: "failed to run command 'echo oh no; exit 3': the start command ended: exit status 3",
    });
    const never = await lab.build([], { startCommand: 'sleep 1000', readyCommand: 'exit 4' });
    expect(never.failed?.message).toBe("failed to run command 'exit 4': the ready command did not succeed within 3 s: exit status 4");
    const hangs = await lab.build([], { readyCommand: 'sleep 1000' });
    expect(hangs.failed?.message).toMatch(/within 3 s: still running/);
    expect(await lab.leftovers()).toEqual([]);
  });
});

describe('builds', () => {
  it('can begin with another build', async () => {
    const first = await lab.build([sh('echo first >/tmp/one'), env('KEPT', 'yes'), workdir('/opt')]);
    const second = await lab.build([sh('echo "$KEPT $PWD" >/tmp/two')], { baseTemplateId: undefined, baseBuildId: first.buildId });
    expect(await askBuilt(second, 'cat /tmp/one /tmp/two')).toBe('first\nyes /opt\n');
  });

  it('more than the limit are refused, and unharmed by each other', async () => {
    const slow = [lab.start([sh('sleep 2; echo a >/tmp/x')]), lab.start([sh('sleep 2; echo b >/tmp/x')])];
    await sleep(300);
    expect((await lab.build([sh('true')])).failed?.reason).toBe('too_many_builds');
    const told = await Promise.all(slow.map(async ({ told }) => await told));
    expect([await askBuilt(told[0]!, 'cat /tmp/x'), await askBuilt(told[1]!, 'cat /tmp/x')]).toEqual(['a\n', 'b\n']);
  });

  it('are not seen among sandboxes while they run', async () => {
    const { told } = lab.start([sh('sleep 2')]);
    await sleep(1000);
    expect((await lab.runner().call('listSandboxes', {}))['sandboxes']).toBeUndefined();
    expect(await readdir(join(lab.directory, 'sandboxes'))).not.toEqual([]);
    await told;
  });

  it('are gone without a trace after the runner was killed, their finished steps cached', async () => {
    const done = sh('echo done >/tmp/done');
    const { told } = lab.start([done, sh('sleep 100')]);
    const outcome = expect(told).rejects.toThrow('the runner ended');
    await sleep(2500);
    await lab.crash();
    await outcome;
    expect(await lab.leftovers()).toEqual([]);
    expect((await lab.build([done])).done?.cachedSteps).toBe(1);
  });
});
