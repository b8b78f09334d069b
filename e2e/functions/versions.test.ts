import { describe, expect, test } from 'vitest';
import { call, deploy } from '../harness/functions.ts';
import { askApi } from '../harness/http.ts';
import { hasTemplate } from '../harness/template.ts';

const isMade = await hasTemplate('edge');

describe.skipIf(!isMade)("a function's versions", () => {
  const says = (text: string): string => `export default { fetch: () => new Response(${JSON.stringify(text)}) };`;

  test('follow each other without a gap, and roll back at once', async () => {
    await deploy('e2e-versions', says('one'));
    let failures = 0;
    let going = true;
    const load = (async () => {
      while (going) if ((await call('e2e-versions')).status !== 200) failures += 1;
    })();
    expect((await askApi('POST', '/functions/e2e-versions/versions', { source: says('two') })).status).toBe(201);
    expect((await call('e2e-versions')).body).toBe('two');
    expect((await askApi('POST', '/functions/e2e-versions/rollback')).json).toMatchObject({ activeVersion: 1 });
    expect((await call('e2e-versions')).body).toBe('one');
    expect((await askApi('POST', '/functions/e2e-versions/rollback', { version: 2 })).json).toMatchObject({
      activeVersion: 2,
    });
    expect((await call('e2e-versions')).body).toBe('two');
    going = false;
    await load;
    expect(failures).toBe(0);
    expect((await askApi('POST', '/functions/e2e-versions/rollback', { version: 9 })).status).toBe(404);
    expect((await askApi('GET', '/functions/e2e-versions/versions')).json).toMatchObject([
      { version: 2, active: true },
      { version: 1, active: false },
    ]);
  });

  test('stay the same when new code is bad', async () => {
    await deploy('e2e-bad', says('good'));
    const bad = [
      ['export default { fetch( {', /SyntaxError/],
      ['import x from "nowhere"; export default { fetch() {} };', /nowhere/],
      ['throw new Error("at the top"); export default {};', /at the top/],
      ['export default 5;', /./],
      ['for (;;);', /did not finish within/],
    ] as const;
    for (const [source, message] of bad) {
      const answer = await askApi('POST', '/functions/e2e-bad/versions', { source });
      expect(answer).toMatchObject({ status: 400, json: { message: expect.stringMatching(message) as string } });
    }
    expect(await call('e2e-bad')).toMatchObject({ status: 200, body: 'good' });
    expect((await askApi('GET', '/functions/e2e-bad/versions')).json).toHaveLength(1);
    expect((await deploy('e2e-never', 'export default { fetch( {')).status).toBe(400);
    expect((await call('e2e-never')).status).toBe(404);
  });
});
