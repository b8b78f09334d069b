import { readdir } from 'node:fs/promises';
import { release } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openBuildLab } from './testing/build-lab.ts';
import type { BuildLab } from './testing/build-lab.ts';
import { askBuilt, env, linesOf, sh, workdir } from './testing/steps.ts';

let lab: BuildLab;

beforeAll(async () => {
  lab = await openBuildLab(10, { SOULBOX_BUILD_READY_SECONDS: '8', SOULBOX_MAX_BUILDS: '2' });
});
afterAll(async () => {
  await lab[Symbol.asyncDispose]();
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
    for (const told of [first, second, forced, partly]) stamps.push(await askBuilt(lab, told, 'cat /tmp/stamp'));
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
      await askBuilt(lab, told, 'curl -s -o /dev/null -w "%{http_code}" localhost:8123; echo " $PORT"; cat /.e2b'),
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
      "failed to run command 'exit 4': the ready command did not succeed within 8 s: exit status 4",
    );
    const hangs = await lab.build([], { readyCommand: 'sleep 1000' });
    expect(hangs.failed?.message).toMatch(/within 8 s: still running/);
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
    const shown = await askBuilt(lab, told, 'cat /tmp/kernel; curl -s -o /dev/null -w "%{http_code}" localhost:8124');
    expect(shown.endsWith('\n200')).toBe(true);
    expect(shown.startsWith(release())).toBe(false);
  });

  it('can start from another build', async () => {
    const first = await lab.build([sh('echo first >/tmp/one'), env('KEPT', 'yes'), workdir('/opt')]);
    const second = await lab.build([sh('echo "$KEPT $PWD" >/tmp/two')], {
      baseTemplateId: undefined,
      baseBuildId: first.buildId,
    });
    expect(await askBuilt(lab, second, 'cat /tmp/one /tmp/two')).toBe('first\nyes /opt\n');
  });

  it('beyond the limit are refused, and the running ones are not affected', async () => {
    const slow = ['a', 'b'].map((text) => lab.start([sh(`sleep 2; echo ${text} >/tmp/x`)]));
    await sleep(300);
    expect((await lab.build([sh('true')])).failed?.reason).toBe('too_many_builds');
    const shown = [];
    for (const { told } of slow) shown.push(await askBuilt(lab, await told, 'cat /tmp/x'));
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
