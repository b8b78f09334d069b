import { expect, test } from 'vitest';
import { runCli } from '../testing/run-cli.ts';
import { startScriptedApi } from '../testing/scripted-api.ts';

const away = { status: 503, body: { code: 503, message: 'stopping' } };
const made = { status: 201, body: { sandboxID: 'i1', templateID: 'base' } };

test('a read is repeated while the server is away', async () => {
  await using api = await startScriptedApi([away, { status: 502, body: '<html>' }, { status: 200, body: [] }]);
  expect(await runCli(['sandbox', 'list', '--json'], api.environment)).toMatchObject({ code: 0, stdout: '[]\n' });
  expect(api.seen).toHaveLength(3);
});

test('a read is not repeated for ever', async () => {
  await using api = await startScriptedApi([away, away, away, away]);
  const { code, stderr } = await runCli(['snapshot', 'list'], api.environment);
  expect([code, stderr, api.seen.length]).toEqual([1, 'error: stopping (http_503)\n', 3]);
});

test('a call that may have taken effect is made once', async () => {
  await using api = await startScriptedApi([away, made]);
  const { code } = await runCli(['sandbox', 'pause', 'i1'], api.environment);
  expect([code, api.seen.length]).toEqual([1, 1]);
});

test('a call that was refused unseen is made again after the wait that the server asks for', async () => {
  const busy = { status: 429, body: { code: 429, message: 'slower' }, headers: { 'retry-after': '1' } };
  await using api = await startScriptedApi([busy, { status: 204 }]);
  const before = performance.now();
  expect((await runCli(['sandbox', 'pause', 'i1'], api.environment)).code).toBe(0);
  expect(performance.now() - before).toBeGreaterThan(1000);
});

test('a used-up quota is an error at once', async () => {
  await using api = await startScriptedApi([{ status: 429, body: { code: 429, message: 'too many' } }, made]);
  const { code, stderr } = await runCli(['sandbox', 'create'], api.environment);
  expect([code, stderr, api.seen.length]).toEqual([1, 'error: too many (http_429)\n', 1]);
});

test.each(['0', '21', 'x', '1.5'])('SOULBOX_RETRY_ATTEMPTS=%s is refused', async (value) => {
  await using api = await startScriptedApi([]);
  const { code, stderr } = await runCli(['sandbox', 'list'], { ...api.environment, SOULBOX_RETRY_ATTEMPTS: value });
  expect(code).toBe(1);
  expect(stderr).toContain('SOULBOX_RETRY_ATTEMPTS must be a whole number from 1 to 20');
  expect(api.seen).toEqual([]);
});
