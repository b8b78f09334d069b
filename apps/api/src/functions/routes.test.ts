import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

// Bodies are validated before the functions service is called. This API has none, so valid requests get 501.
let api: TestApi;
beforeAll(async () => {
  api = await startTestApi();
});
afterAll(() => api[Symbol.asyncDispose]());

const fine = { name: 'shop', source: 'export default {};' };

describe('a new function', () => {
  test.each([
    fine,
    { ...fine, name: 'a' },
    { ...fine, name: 'a'.repeat(40), kind: 'edge' },
    { ...fine, environment: { A_1: '' }, secrets: { _B: 'x'.repeat(32_768) }, kv: { KV: 'my-store_1' } },
    { ...fine, limits: { requestTimeoutMs: 100, memoryMb: 16, maxBodyBytes: 0, idleSeconds: 1 } },
    { ...fine, compatibilityDate: '2026-01-01', compatibilityFlags: ['nodejs_compat'] },
    { ...fine, source: `// ${'é'.repeat(2_000_000)}` },
  ])('is valid (%#)', async (body) => {
    expect((await api.ask('POST', '/functions', { body })).status).toBe(501);
  });

  test.each([
    {},
    { ...fine, name: '' },
    { ...fine, name: '-a' },
    { ...fine, name: 'a-' },
    { ...fine, name: 'A' },
    { ...fine, name: 'a.b' },
    { ...fine, name: 'a\n' },
    { ...fine, name: 'a'.repeat(41) },
    { ...fine, kind: 'deno' },
    { ...fine, source: '' },
    { ...fine, source: '\ud800' },
    { ...fine, source: 'x'.repeat(5 * 1024 * 1024 + 1) },
    { ...fine, environment: { 'A-B': 'x' } },
    { ...fine, environment: { '1A': 'x' } },
    { ...fine, environment: { A: 5 } },
    { ...fine, environment: { A: 'x\0' } },
    { ...fine, secrets: { A: 'x'.repeat(32_769) } },
    { ...fine, secrets: Object.fromEntries(Array.from({ length: 129 }, (_, index) => [`A${index}`, 'x'])) },
    { ...fine, kv: { 'a b': 'x' } },
    { ...fine, kv: { A: '../x' } },
    { ...fine, limits: { requestTimeoutMs: 99 } },
    { ...fine, limits: { memoryMb: 1.5 } },
    { ...fine, limits: { idleSeconds: 0 } },
    { ...fine, compatibilityDate: 'yesterday' },
    { ...fine, compatibilityFlags: ['"); evil'] },
  ])('is not valid (%#)', async (body) => {
    expect(await api.ask('POST', '/functions', { body })).toMatchObject({ status: 400, json: { code: 400 } });
  });

  test('that is larger than the limit is 413', async () => {
    const body = { ...fine, source: 'x'.repeat(17 * 1024 * 1024) };
    expect((await api.ask('POST', '/functions', { body })).status).toBe(413);
  });

  test('needs a key, and its secrets are not in any log', async () => {
    expect((await api.ask('POST', '/functions', { body: fine, key: null })).status).toBe(401);
    await api.ask('POST', '/functions', { body: { ...fine, secrets: { TOKEN: 'very-s3cret' } } });
    await api.ask('POST', '/functions', { body: { ...fine, secrets: { 'BAD-NAME': 'very-s3cret' } } });
    expect(await api.readLog()).not.toContain('very-s3cret');
  });
});

test.each([
  ['GET', '/functions/x/logs?cursor=-1'],
  ['GET', '/functions/x/logs?limit=0'],
  ['GET', '/functions/x/logs?limit=1001'],
  ['POST', '/functions/x/rollback', { version: 0 }],
  ['PUT', '/functions/x/secrets', {}],
  ['POST', '/functions/x/invoke', { path: 'no-slash' }],
  ['POST', '/functions/x/invoke', { path: '/a b' }],
  ['POST', '/functions/x/invoke', { path: '/\r\nX: y' }],
  ['POST', '/functions/x/invoke', { method: 'get' }],
  ['POST', '/functions/x/invoke', { headers: { 'a:b': 'x' } }],
  ['POST', '/functions/x/invoke', { headers: { a: 'x\r\ny: z' } }],
  ['POST', '/functions/x/invoke', { headers: { 'Transfer-Encoding': 'chunked' } }],
  ['POST', '/functions/x/invoke', { body: 'x'.repeat(1024 * 1024), encoding: 'utf16' }],
])('%s %s is refused', async (method, path, body?: object) => {
  expect([400, 413]).toContain((await api.ask(method, path, body === undefined ? {} : { body })).status);
});

test.each([
  ['GET', '/functions'],
  ['GET', '/functions/x'],
  ['GET', '/functions/x/versions'],
  ['GET', '/functions/x/logs'],
  ['DELETE', '/functions/x'],
  ['DELETE', '/functions/x/secrets/A'],
  ['POST', '/functions/x/invoke'],
  ['GET', '/kv'],
  ['DELETE', '/kv/x'],
])('%s %s is 501 on a server without functions', async (method, path) => {
  expect((await api.ask(method, path)).status).toBe(501);
});
