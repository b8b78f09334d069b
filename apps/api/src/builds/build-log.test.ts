import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requestBuild, startBuild, statusOf } from '../testing/build-template.ts';
import type { Requested } from '../testing/build-template.ts';
import { startTestApi, until } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
beforeEach(async () => {
  api = await startTestApi({ config: { teamBuildLimit: 3 } });
});
afterEach(() => api[Symbol.asyncDispose]());

const settled = (build: Requested) => until(async () => (await statusOf(api, build)).status !== 'building');

describe('the log of a build', () => {
  let build: Requested;
  const messages = async (query = '') => (await statusOf(api, build, query)).logEntries.map((entry) => entry.message);
  const logs = async (query = '') => {
    const answer = await api.ask('GET', `/templates/${build.templateID}/builds/${build.buildID}/logs${query}`);
    return (answer.json as { logs: { message: string }[] }).logs.map((entry) => entry.message);
  };
  beforeEach(async () => {
    build = await requestBuild(api, 'mine');
    const runner = await startBuild(api, build);
    runner.log('base', { level: 'debug', step: 'base', atMs: 1000 });
    for (let n = 1; n <= 150; n++) runner.log(`line ${n}`, { step: '1', atMs: 1000 + n });
    runner.log('odd', { level: 'shout', step: '99999999', atMs: 2000 });
    runner.log('x'.repeat(20_000), { level: 'error', step: 'finalize', atMs: 2001 });
    runner.finish();
    await settled(build);
  });

  it("is read from the caller's position, in pages of 100", async () => {
    const first = await messages();
    expect([first.length, first[0], first[99]]).toEqual([100, 'base', 'line 99']);
    expect(await messages('?logsOffset=149&limit=2')).toEqual(['line 149', 'line 150']);
    expect(await messages('?logsOffset=153')).toEqual([]);
    expect(await messages('?logsOffset=0&level=warn')).toHaveLength(1);
    expect((await statusOf(api, build)).logEntries[0]).toEqual({
      ...{ timestamp: new Date(1000).toISOString(), message: 'base', level: 'debug', step: 'base' },
    });
  });

  it('is limited in size, and unknown parts of an entry are dropped', async () => {
    const [odd, long] = (await statusOf(api, build, '?logsOffset=151')).logEntries;
    expect(odd).toEqual({ timestamp: new Date(2000).toISOString(), message: 'odd', level: 'info' });
    expect(long?.message).toHaveLength(8193);
  });

  it('is read by time in both directions', async () => {
    expect(await logs('?cursor=1149&limit=2')).toEqual(['line 149', 'line 150']);
    expect(await logs('?direction=backward&cursor=1002&source=persistent')).toEqual(['line 2', 'line 1', 'base']);
    expect((await logs('?direction=backward&limit=1'))[0]).toMatch(/^x/);
    expect(await logs('?level=error')).toHaveLength(1);
  });

  it.each(['logsOffset=-1', 'logsOffset=1.5', 'logsOffset=x', 'limit=101', 'limit=-1', 'level=loud'])(
    'refuses %s',
    async (query) => {
      const answer = await api.ask('GET', `/templates/${build.templateID}/builds/${build.buildID}/status?${query}`);
      expect(answer.json).toMatchObject({ code: 400 });
    },
  );

  it.each(['cursor=-1', 'cursor=x', 'direction=up', 'source=other', 'limit=1000', 'level=loud'])(
    'refuses %s when it is read by time',
    async (query) => {
      const answer = await api.ask('GET', `/templates/${build.templateID}/builds/${build.buildID}/logs?${query}`);
      expect(answer.json).toMatchObject({ code: 400 });
    },
  );
});
