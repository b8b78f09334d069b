import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createFileCalls } from '../testing/file-calls.ts';
import type { TestEnvd } from '../testing/start-envd.ts';
import { startEnvd } from '../testing/start-envd.ts';
import { findTestRoot } from '../testing/test-root.ts';

let envd: TestEnvd;

beforeAll(async () => {
  envd = await startEnvd(await findTestRoot());
});

afterAll(async () => {
  await envd[Symbol.asyncDispose]();
});

beforeEach(async () => {
  await envd.init({});
});

const { upload, shell } = createFileCalls(() => envd);

describe('composing', () => {
  async function compose(body: unknown): Promise<Response> {
    return await fetch(`${envd.baseUrl}/files/compose`, { method: 'POST', body: JSON.stringify(body) });
  }

  test('files are joined in order and deleted', async () => {
    for (const [name, text] of Object.entries({ p1: 'one ', p2: 'two ', p3: 'three' }))
      await upload(`/tmp/${name}`, text);
    const response = await compose({ source_paths: ['/tmp/p1', '/tmp/p2', '/tmp/p3'], destination: 'joined/all' });
    expect([response.status, await response.json()]).toEqual([
      200,
      { path: '/home/user/joined/all', name: 'all', type: 'file' },
    ]);
    expect(await shell('cat /home/user/joined/all; ls /tmp | grep -c "^p[123]$" || true')).toBe('one two three0\n');
  });

  test('a missing source changes nothing', async () => {
    await upload('/tmp/q1', 'one');
    await upload('/tmp/target', 'before');
    expect((await compose({ source_paths: ['/tmp/q1', '/tmp/nope'], destination: '/tmp/target' })).status).toBe(404);
    expect(await shell('cat /tmp/q1 /tmp/target')).toBe('onebefore');
  });

  test.each([
    [{}],
    [[]],
    ['text'],
    [{ source_paths: [], destination: '/tmp/x' }],
    [{ source_paths: 'a', destination: '/tmp/x' }],
    [{ source_paths: [1], destination: '/tmp/x' }],
    [{ source_paths: ['/tmp/a'] }],
    [{ source_paths: ['/tmp/a'], destination: '/tmp/./a' }],
    [{ source_paths: ['/dev/zero'], destination: '/tmp/x' }],
  ])('%j is a bad request', async (body) => {
    expect((await compose(body)).status).toBe(400);
  });
});
