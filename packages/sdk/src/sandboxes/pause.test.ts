import { expect, test } from 'vitest';
import { startServer } from '../testing/start-server.ts';
import { Sandbox } from './handle.ts';

const conflict = (reason: string): object => ({
  ...{ status: 409, headers: { 'x-soulbox-reason': reason }, body: { code: 409, message: reason } },
});

test('a pause is false for a paused sandbox, and throws if another step is in progress', async () => {
  const reasons = ['already_paused', 'illegal_transition'];
  await using server = await startServer(() => conflict(reasons[server.seen.length - 1] ?? '') as { status: number });
  const options = { apiUrl: server.url, apiKey: 'key' };
  expect(await Sandbox.pause('i1', options)).toBe(false);
  await expect(Sandbox.pause('i1', options)).rejects.toMatchObject({ reason: 'illegal_transition', status: 409 });
});
