import { expect, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { apiUrl } from '../harness/server.ts';

test.each([
  ['POST', '/templates'],
  ['POST', '/templates/x'],
  ['POST', '/templates/x/builds/y'],
])('%s %s with a key answers 501 in the error format', async (method, path) => {
  const body = method === 'GET' || method === 'DELETE' ? undefined : {};
  const { status, json } = await askApi(method, path, body);
  expect([status, json]).toEqual([501, { code: 501, message: expect.stringMatching(/not available/) as string }]);
  const stranger = await fetch(`${apiUrl}${path}`, { method });
  expect(stranger.status).toBe(401);
});
