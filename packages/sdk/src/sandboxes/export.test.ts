import { expect, test } from 'vitest';
import { startServer } from '../testing/start-server.ts';
import { Sandbox } from './handle.ts';

const codes = { 400: 'invalid_argument', 401: 'unauthenticated', 403: 'permission_denied', 404: 'not_found' };

test('a failed import has the class of its status, also without a message', async () => {
  const statuses = Object.keys(codes).map(Number);
  await using server = await startServer(() => ({ status: statuses[server.seen.length - 1] ?? 500, body: '<html>' }));
  for (const [status, code] of Object.entries(codes)) {
    const call = Sandbox.import(new Blob(['x']), { apiUrl: server.url, apiKey: 'key' });
    await expect(call).rejects.toMatchObject({ name: 'SoulBoxError', code, status: Number(status) });
  }
});
