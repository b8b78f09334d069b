import { expect, it, vi } from 'vitest';
import { silentLogger } from '@soulbox/base/logger';
import type { SandboxUse } from '@soulbox/contract/sandbox-use-service';
import { createEnvdUses, useOf } from './envd-uses.ts';

const withToken = { headers: ['x-access-token', 'secret'] };
const bare = { headers: [] };

function start(fails = false) {
  const reports: (readonly SandboxUse[])[] = [];
  const state = { fails };
  const uses = createEnvdUses(
    {
      report: (batch) => {
        if (state.fails) return Promise.reject(new Error('away'));
        reports.push(batch);
        return Promise.resolve();
      },
    },
    silentLogger,
  );
  return { uses, reports, state };
}

it.each([
  ['/process.Process/Start', withToken, { part: 'process', credential: 'token' }],
  ['/filesystem.Filesystem/ListDir', withToken, { part: 'files', credential: 'token' }],
  ['/files?path=/a&signature=v1_x', bare, { part: 'files', credential: 'signature' }],
  ['/files?path=/a', bare, { part: 'files', credential: 'none' }],
  ['/metrics', bare, { part: 'other', credential: 'none' }],
  ['/filesx', bare, { part: 'other', credential: 'none' }],
  ['/health', withToken, undefined],
  ['/health?x=1', withToken, undefined],
])('%s is a use of a kind', (path, exchange, use) => {
  expect(useOf(exchange, path)).toEqual(use);
});

it('reports counts by sandbox and kind every five seconds, and what is left at the end', async () => {
  vi.useFakeTimers();
  try {
    const { uses, reports } = start();
    for (let n = 0; n < 500; n += 1) uses.note(withToken, 'one', '/process.Process/Start');
    uses.note(bare, 'one', '/files?path=/a');
    uses.note(withToken, 'two', '/process.Process/List');
    await vi.advanceTimersByTimeAsync(5000);
    const kinds = { part: 'process', credential: 'token' } as const;
    expect(reports).toEqual([
      [
        { sandboxId: 'one', ...kinds, count: 500 },
        { sandboxId: 'one', part: 'files', credential: 'none', count: 1 },
        { sandboxId: 'two', ...kinds, count: 1 },
      ],
    ]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(reports).toHaveLength(1);
    uses.note(withToken, 'two', '/process.Process/List');
    await uses[Symbol.asyncDispose]();
    expect(reports[1]).toEqual([{ sandboxId: 'two', ...kinds, count: 1 }]);
  } finally {
    vi.useRealTimers();
  }
});

it('keeps the counts while the control plane is away, and adds to them', async () => {
  vi.useFakeTimers();
  try {
    const { uses, reports, state } = start(true);
    uses.note(withToken, 'one', '/files');
    await vi.advanceTimersByTimeAsync(20_000);
    uses.note(withToken, 'one', '/files');
    state.fails = false;
    await vi.advanceTimersByTimeAsync(5000);
    expect(reports.flat().map(({ count }) => count)).toEqual([2]);
  } finally {
    vi.useRealTimers();
  }
});

it('sends at most 1000 entries at once, and keeps at most 20,000 while the control plane is away', async () => {
  const { uses, reports } = start();
  for (let n = 0; n < 21_000; n += 1) uses.note(withToken, `s${n}`, '/files');
  await uses[Symbol.asyncDispose]();
  expect(reports.map((batch) => batch.length)).toEqual(Array.from({ length: 20 }, () => 1000));
});
