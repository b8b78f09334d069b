import { expect, test } from 'vitest';
import { runCli } from '../../testing/run-cli.ts';
import { startScriptedApi } from '../../testing/scripted-api.ts';

const sandbox = { sandboxID: 'i2', templateID: 't', clientID: 'soulbox', envdVersion: '1' };
const fork = { status: 201, body: [{ sandbox }] };

test('a fork asks for clones of volumes, and a snapshot for their snapshots', async () => {
  await using api = await startScriptedApi([fork, fork, { status: 201, body: { snapshotID: 's1' } }]);
  const calls = [
    ['sandbox', 'fork', 'i1', '--volumes', 'clone'],
    ['snapshot', 'fork', 's1', '--volumes', 'clone'],
    ['sandbox', 'snapshot', 'i1', '--volumes', 'snapshot'],
  ];
  for (const args of calls) expect((await runCli(args, api.environment)).code).toBe(0);
  expect(api.seen).toMatchObject([
    { line: 'POST /sandboxes/i1/fork', body: { volumes: 'clone' } },
    { line: 'POST /snapshots/s1/fork', body: { volumes: 'clone' } },
    { line: 'POST /sandboxes/i1/snapshots', body: { volumes: 'snapshot' } },
  ]);
});

test.each([
  [['sandbox', 'fork', 'i1', '--volumes', 'snapshot'], /--volumes must be share or clone/],
  [['sandbox', 'snapshot', 'i1', '--volumes', 'clone'], /--volumes must be share or snapshot/],
])('%j is refused without a call', async (args, message) => {
  await using api = await startScriptedApi([]);
  const { code, stderr } = await runCli(args, api.environment);
  expect([code, stderr, api.seen.length]).toEqual([2, expect.stringMatching(message), 0]);
});
