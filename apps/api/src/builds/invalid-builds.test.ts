import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requestBuild, statusOf } from '../testing/build-template.ts';
import type { Requested } from '../testing/build-template.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({ config: { teamBuildLimit: 3 } });
});
afterEach(() => api[Symbol.asyncDispose]());

const start = (build: Requested, body: object) =>
  api.ask('POST', `/v2/templates/${build.templateID}/builds/${build.buildID}`, { body });

describe('an invalid build', () => {
  it.each<[string, object, RegExp]>([
    ['nothing to begin from', {}, /either fromImage or fromTemplate/],
    ['two things to begin from', { fromImage: 'a', fromTemplate: 'b' }, /either fromImage or fromTemplate/],
    ['an empty image', { fromImage: ' ' }, /fromImage/],
    ['an image that is no text', { fromImage: 5 }, /fromImage/],
    ['an endless image', { fromImage: 'x'.repeat(2000) }, /fromImage/],
    ['a command with NUL', { fromImage: 'a', startCmd: 'a\0b' }, /startCmd/],
    ['an endless command', { fromImage: 'a', startCmd: 'x'.repeat(200_000) }, /startCmd/],
    ['a registry of no kind', { fromImage: 'a', fromImageRegistry: { type: 'ftp' } }, /fromImageRegistry/],
    [
      'a registry without password',
      { fromImage: 'a', fromImageRegistry: { type: 'registry', username: 'u' } },
      /password/,
    ],
    ['steps that are no list', { fromImage: 'a', steps: 'RUN x' }, /steps/],
    ['too many steps', { fromImage: 'a', steps: Array(501).fill({ type: 'RUN', args: ['x'] }) }, /steps/],
    ['a force that is no flag', { fromImage: 'a', force: 'yes' }, /force/],
  ])('%s', async (_what, body, message) => {
    const build = await requestBuild(api, 'mine');
    expect((await start(build, body)).json).toMatchObject({
      code: 400,
      message: expect.stringMatching(message) as string,
    });
    expect((await statusOf(api, build)).status).toBe('waiting');
    expect(api.runner.builds.size).toBe(0);
  });

  it.each<[object, RegExp]>([
    [{ type: 'HEALTHCHECK', args: ['x'] }, /type/],
    [{ type: 'run', args: ['x'] }, /type/],
    [{ args: ['x'] }, /type/],
    [{ type: 'RUN' }, /step 2: RUN takes a command/],
    [{ type: 'RUN', args: [''] }, /step 2: RUN takes a command/],
    [{ type: 'RUN', args: ['a', 'b', 'c'] }, /step 2: RUN takes a command/],
    [{ type: 'RUN', args: ['a\0'] }, /args/],
    [{ type: 'RUN', args: [5] }, /args/],
    [{ type: 'RUN', args: 'x' }, /args/],
    [{ type: 'ENV', args: [] }, /step 2: ENV takes pairs of a name and a value/],
    [{ type: 'ENV', args: ['A'] }, /step 2: ENV takes pairs of a name and a value/],
    [{ type: 'ENV', args: ['', 'x'] }, /step 2: ENV takes pairs of a name and a value/],
    [{ type: 'ARG', args: ['A', 'x', 'B'] }, /step 2: ARG takes pairs of a name and a value/],
    [{ type: 'WORKDIR', args: ['/a', '/b'] }, /step 2: WORKDIR takes a path/],
    [{ type: 'USER', args: [] }, /step 2: USER takes a name/],
    [{ type: 'COPY', args: ['a', 'b'] }, /step 2: COPY requires filesHash/],
    [
      { type: 'ADD', args: ['a', 'b'], filesHash: 'a'.repeat(64) },
      /step 2: ADD refers to files that were not uploaded/,
    ],
    [{ type: 'COPY', args: ['a', 'b'], filesHash: '../x' }, /filesHash/],
    [{ type: 'COPY', args: ['a', 'b'], filesHash: 'A'.repeat(64) }, /filesHash/],
    [{ type: 'COPY', args: ['a'], filesHash: 'a'.repeat(64) }, /step 2: COPY takes a source/],
  ])('the step %j', async (step, message) => {
    const build = await requestBuild(api, 'mine');
    const answer = await start(build, { fromImage: 'a', steps: [{ type: 'RUN', args: ['ok'] }, step] });
    expect(answer.json).toMatchObject({ code: 400, message: expect.stringMatching(message) as string });
    expect((await statusOf(api, build)).status).toBe('waiting');
  });

  it('of another team, an unknown one, or one of another template', async () => {
    const [build, other] = [await requestBuild(api, 'mine'), await requestBuild(api, 'second')];
    const path = (templateID: string, buildID: string, rest = '') =>
      `/templates/${templateID}/builds/${buildID}${rest}`;
    const body = { fromImage: 'a' };
    const of = async (method: string, url: string, more: object) => (await api.ask(method, url, more)).status;
    for (const [templateID, buildID, key] of [
      [build.templateID, other.buildID, api.key],
      [build.templateID, '00000000-0000-0000-0000-000000000000', api.key],
      [build.templateID, "' OR 1=1 --", api.key],
      ['nope', build.buildID, api.key],
      [build.templateID, build.buildID, api.otherKey],
    ] as const) {
      const url = path(encodeURIComponent(templateID), encodeURIComponent(buildID));
      expect(await of('POST', `/v2${url}`, { body, key })).toBe(404);
      expect(await of('GET', `${url}/status`, { key })).toBe(404);
      expect(await of('GET', `${url}/logs`, { key })).toBe(404);
    }
  });
});
