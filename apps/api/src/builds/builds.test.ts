import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildTemplate, requestBuild, runnerSide, startBuild, statusOf } from '../testing/build-template.ts';
import type { Requested } from '../testing/build-template.ts';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({ config: { teamBuildLimit: 3 } });
});
afterEach(() => api[Symbol.asyncDispose]());

const start = (build: Requested, body: object) =>
  api.ask('POST', `/v2/templates/${build.templateID}/builds/${build.buildID}`, { body });
const settled = (build: Requested) => until(async () => (await statusOf(api, build)).status !== 'building');
const snapshots = () => [...api.runner.snapshots.keys()];
const runnerId = ({ buildID }: Requested) => buildID.replaceAll('-', '');

describe('a build', () => {
  it('waits, is building as soon as it is started, and is ready with its tags when the runner is done', async () => {
    const build = await requestBuild(api, 'mine', { request: { tags: ['v1', 'v2'], cpuCount: 4, memoryMB: 2048 } });
    expect(await statusOf(api, build)).toEqual({
      ...{ templateID: build.templateID, buildID: build.buildID, status: 'waiting', logs: [], logEntries: [] },
    });
    const steps = [
      { type: 'RUN', args: ['echo hi', 'root'], force: true, forceUpload: null, gzip: true },
      { type: 'ENV', args: ['A', '1', 'B', ''] },
      { type: 'ARG', args: ['C', 'x'] },
      { type: 'WORKDIR', args: ['/srv'] },
      { type: 'USER', args: ['app'], filesHash: null },
    ];
    const body = { fromImage: 'python:3', startCmd: 'serve', readyCmd: 'test', force: true, steps };
    expect((await start(build, body)).status).toBe(202);
    expect((await statusOf(api, build)).status).toBe('building');
    const runner = await runnerSide(api, build.buildID);
    expect(runner.request).toMatchObject({
      ...{ buildId: runnerId(build), teamId: api.teamId, templateId: build.templateID, force: true },
      ...{ startCommand: 'serve', readyCommand: 'test', cpuCount: 4, memoryMb: 2048, minFreeDiskMb: 0 },
      base: { case: 'image', value: { reference: 'python:3' } },
      steps: [
        { type: 'RUN', args: ['echo hi', 'root'], force: true },
        { type: 'ENV', args: ['A', '1', 'B', ''], force: false },
        { type: 'ENV', args: ['C', 'x'] },
        { type: 'WORKDIR', args: ['/srv'] },
        { type: 'USER', args: ['app'] },
      ],
    });
    runner.finish();
    await settled(build);
    expect((await statusOf(api, build)).status).toBe('ready');
    const tags = (await api.ask('GET', `/templates/${build.templateID}/tags`)).json;
    expect(tags).toMatchObject([
      { tag: 'v1', buildID: build.buildID },
      { tag: 'v2', buildID: build.buildID },
    ]);
  });

  it.each([
    ['of a step', '3', { message: 'no such user', step: '3' }],
    ['of the base', 'base', { message: 'no such user', step: 'base' }],
    ['of no step', '', { message: 'no such user' }],
    ['of a step that makes no sense', '<script>', { message: 'no such user' }],
  ])('that fails because %s reports the reason and the place', async (_what, step, reason) => {
    const build = await requestBuild(api, 'mine');
    (await startBuild(api, build)).fail('no such user', step);
    await settled(build);
    expect(await statusOf(api, build)).toMatchObject({ status: 'error', reason: { ...reason, logEntries: [] } });
    expect((await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'mine' } })).status).toBe(404);
  });

  it('gives the last output of the failed step with the reason', async () => {
    const build = await requestBuild(api, 'mine');
    const runner = await startBuild(api, build);
    runner.log('before', { step: '1', atMs: 1 });
    for (let n = 1; n <= 30; n++) runner.log(`line ${n}`, { step: '2', atMs: n + 1 });
    runner.fail('it exited with 7', '2');
    await settled(build);
    const { reason } = await statusOf(api, build);
    expect(reason?.logEntries).toHaveLength(20);
    expect(reason?.logEntries.at(-1)).toMatchObject({ message: 'line 30', step: '2' });
  });

  it('waits while the host runs its maximum of builds', async () => {
    const build = await requestBuild(api, 'mine');
    const first = await startBuild(api, build);
    first.fail('This host runs its limit.', '', 'too_many_builds');
    await until(() => api.runner.builds.get(runnerId(build)) !== first);
    expect(await statusOf(api, build)).toMatchObject({
      status: 'building',
      logEntries: [{ message: expect.stringMatching(/Waiting/) as string }],
    });
    api.runner.builds.get(runnerId(build))?.finish();
    await settled(build);
    expect((await statusOf(api, build)).status).toBe('ready');
  });

  it('that ends without a result has failed', async () => {
    const build = await requestBuild(api, 'mine');
    (await startBuild(api, build)).vanish();
    await settled(build);
    expect((await statusOf(api, build)).reason?.message).toMatch(/^The runner stopped during this build/);
  });

  it('cancels the previous one with the same name and tag, and no others', async () => {
    const [first, other] = [await requestBuild(api, 'mine'), await requestBuild(api, 'mine:v2')];
    const [runner, otherRunner] = [await startBuild(api, first), await startBuild(api, other)];
    const second = await requestBuild(api, 'mine');
    expect((await statusOf(api, first)).status).toBe('building');
    const secondRunner = await startBuild(api, second);
    expect(await statusOf(api, first)).toMatchObject({
      status: 'error',
      reason: { message: expect.stringMatching(/canceled/) as string },
    });
    await until(() => runner.dropped.aborted);
    expect(otherRunner.dropped.aborted).toBe(false);
    secondRunner.finish();
    await settled(second);
    expect((await statusOf(api, second)).status).toBe('ready');
  });

  it('that was replaced at the last moment leaves nothing in the runner', async () => {
    const first = await requestBuild(api, 'mine');
    const runner = await startBuild(api, first);
    await api.records.builds.fail(first.buildID, { message: 'replaced', step: '' }, 1);
    runner.finish();
    await until(async () => (await api.readLog()).includes('"build finished"'));
    await until(() => snapshots().length === 0);
    expect((await statusOf(api, first)).status).toBe('error');
  });

  it('replaces the last one, whose snapshot is deleted when nothing points at it', async () => {
    const first = await buildTemplate(api, 'mine', { request: { tags: ['default', 'stable'] } });
    const second = await buildTemplate(api, 'mine');
    expect(snapshots().sort()).toEqual([runnerId(first), runnerId(second)].sort());
    const third = await buildTemplate(api, 'mine', { request: { tags: ['default', 'stable'] } });
    await until(() => snapshots().length === 1);
    expect(snapshots()).toEqual([runnerId(third)]);
  });

  it('keeps its base until it is done', async () => {
    const base = await buildTemplate(api, 'base-of-mine');
    const mine = await requestBuild(api, 'mine');
    const runner = await startBuild(api, mine, { start: { fromImage: undefined, fromTemplate: 'base-of-mine' } });
    expect(runner.request.base).toEqual({ case: 'baseBuildId', value: runnerId(base) });
    const next = await buildTemplate(api, 'base-of-mine');
    expect(snapshots()).toContain(runnerId(base));
    runner.finish();
    await until(() => !snapshots().includes(runnerId(base)));
    expect(snapshots().sort()).toEqual([runnerId(mine), runnerId(next)].sort());
  });

  it('is refused with 429 when the team runs too many, and may be started later', async () => {
    const builds = [];
    for (const name of ['a', 'b', 'c', 'd']) builds.push(await requestBuild(api, name));
    const [a, b, c, d] = builds as [Requested, Requested, Requested, Requested];
    const runners = [await startBuild(api, a), await startBuild(api, b), await startBuild(api, c)];
    const answer = await start(d, { fromImage: 'x' });
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '1']);
    runners[0]?.finish();
    await settled(a);
    expect((await start(d, { fromImage: 'x' })).status).toBe(202);
  });

  it('cannot be started twice', async () => {
    const build = await requestBuild(api, 'mine');
    await startBuild(api, build);
    expect((await start(build, { fromImage: 'x' })).json).toMatchObject({
      code: 400,
      message: expect.stringMatching(/already started/) as string,
    });
  });

  it('fails when the server stops, and when the server is killed and starts again', async () => {
    const [stopped, killed] = [await requestBuild(api, 'a'), await requestBuild(api, 'b')];
    const runner = await startBuild(api, stopped);
    await api.restart();
    expect(runner.dropped.aborted).toBe(true);
    expect(await statusOf(api, stopped)).toMatchObject({
      status: 'error',
      reason: { message: expect.stringMatching(/server stopped/) as string },
    });
    // As after a kill: the record says building, but nothing works on it.
    const commands = { startCommand: '', readyCommand: '' };
    await api.records.builds.start(killed.buildID, commands, 9, { message: '', step: '' }, 1);
    await api.restart();
    expect(await statusOf(api, killed)).toMatchObject({
      status: 'error',
      reason: { message: expect.stringMatching(/server stopped/) as string },
    });
  });

  it('fails if the runner has lost its snapshot; snapshots without a record are deleted', async () => {
    const build = await buildTemplate(api, 'mine');
    api.runner.snapshots.delete(runnerId(build));
    const orphan = 'f'.repeat(32);
    api.runner.snapshots.set(orphan, { snapshotId: orphan, teamId: api.teamId } as never);
    await api.restart();
    await until(async () => (await statusOf(api, build)).status === 'error');
    await until(() => snapshots().length === 0);
    expect((await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'mine' } })).status).toBe(404);
    expect((await api.ask('GET', '/snapshots')).json).toEqual([]);
  });
});

describe('the base of a build', () => {
  const begin = async (body: object): Promise<unknown> => {
    const build = await requestBuild(api, 'mine');
    const answer = await start(build, body);
    return answer.status === 202 ? (await runnerSide(api, build.buildID)).request : answer.json;
  };

  it('may be a template of the server', async () => {
    expect(await begin({ fromTemplate: 'base' })).toMatchObject({ base: { case: 'baseTemplateId', value: 'tbase' } });
  });

  it('may be an image of a private registry, whose credentials are neither stored nor logged', async () => {
    const request = async (fromImageRegistry: object) => await begin({ fromImage: 'r.example/x:1', fromImageRegistry });
    const basic = await request({ type: 'registry', username: 'u', password: 'hunter22' });
    const value = {
      reference: 'r.example/x:1',
      credentials: { kind: { case: 'basic', value: { password: 'hunter22' } } },
    };
    expect(basic).toMatchObject({ base: { case: 'image', value } });
    const aws = { awsAccessKeyId: 'a', awsSecretAccessKey: 'hunter22', awsRegion: 'r' };
    expect(await request({ type: 'aws', ...aws })).toMatchObject({
      base: { value: { credentials: { kind: { case: 'aws', value: { accessKeyId: 'a', region: 'r' } } } } },
    });
    expect(await request({ type: 'gcp', serviceAccountJson: '{"k":"hunter22"}' })).toMatchObject({
      base: { value: { credentials: { kind: { case: 'gcp', value: { serviceAccountJson: '{"k":"hunter22"}' } } } } },
    });
    expect(await api.readLog()).not.toContain('hunter22');
  });

  it.each([
    [{}, 'serve', 'test'],
    [{ readyCmd: 'other' }, 'serve', 'other'],
    [{ startCmd: 'own' }, 'own', ''],
    [{ startCmd: '' }, '', ''],
  ])('passes on its commands unless they are replaced: %j', async (body, startCommand, readyCommand) => {
    await buildTemplate(api, 'parent', { start: { startCmd: 'serve', readyCmd: 'test' } });
    expect(await begin({ fromTemplate: 'parent', ...body })).toMatchObject({ startCommand, readyCommand });
  });

  it('must not be a missing or unfinished template, one of another team, or a snapshot', async () => {
    await requestBuild(api, 'unfinished');
    await buildTemplate(api, 'theirs', { key: api.otherKey });
    const sandbox = (await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } })).json;
    const path = `/sandboxes/${(sandbox as { sandboxID: string }).sandboxID}/snapshots`;
    await api.ask('POST', path, { body: { name: 'snap' } });
    for (const [fromTemplate, code] of [
      ...([
        ['nope', 404],
        ['unfinished', 404],
        ['theirs', 404],
        ['other/theirs', 404],
      ] as const),
      ...([
        ['base:v9', 404],
        ['snap', 400],
        ['a/b/c', 404],
      ] as const),
    ])
      expect([fromTemplate, await begin({ fromTemplate })]).toMatchObject([fromTemplate, { code }]);
    await api.ask('PATCH', '/v2/templates/theirs', { key: api.otherKey, body: { public: true } });
    expect(await begin({ fromTemplate: 'other/theirs' })).toMatchObject({ base: { case: 'baseBuildId' } });
  });
});
