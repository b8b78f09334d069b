import { SoulBoxError } from '@soulbox/base';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { RecordStore, Tenant } from './record.ts';
import { createSandboxTable } from './table.ts';
import type { KnownSandbox, RecordChange, SandboxTable } from './table.ts';

const sandboxId = 'iaaaaaaaaaaaaaaaaaaaa';
const tenantWith = (envdAccessToken: string): Tenant => ({ envdAccessToken }) as Tenant;

let isFull: boolean;
let table: SandboxTable;
let sandbox: KnownSandbox;
beforeEach(() => {
  isFull = false;
  const write = async (): Promise<void> => {
    if (isFull) throw new SoulBoxError('disk_full', 'no room');
    await Promise.resolve();
  };
  table = createSandboxTable({ write } as unknown as RecordStore);
  sandbox = { record: { sandboxId, state: 'warm' } as KnownSandbox['record'], live: undefined };
  table.add(sandbox);
});

test('a spare is not found by a token, a claimed sandbox is found by its own until it is deleted', async () => {
  expect([table.findByToken(''), table.findByToken('right')]).toEqual([undefined, undefined]);
  await table.step(sandbox, 'claiming', { tenant: tenantWith('right') });
  await table.step(sandbox, 'running');
  expect([table.findByToken('right'), table.findByToken('wrong')]).toEqual([sandbox, undefined]);
  table.delete(sandboxId);
  expect(table.findByToken('right')).toBeUndefined();
});

test('a sandbox that is added with a tenant is found by its token: a copy, or a sandbox of an earlier server', () => {
  const other = { record: { ...sandbox.record, sandboxId: 'ib', state: 'paused', tenant: tenantWith('other') } };
  table.add({ ...other, live: undefined } as KnownSandbox);
  expect(table.findByToken('other')?.record.sandboxId).toBe('ib');
});

test('a claim that cannot be written gives the sandbox no token', async () => {
  isFull = true;
  await expect(table.step(sandbox, 'claiming', { tenant: tenantWith('right') })).rejects.toThrow('no room');
  expect(table.findByToken('right')).toBeUndefined();
});

// The next server removes it in either state, and a create should not wait for the disk twice.
test('a claim of a spare of a snapshot is not written, and its next step is', async () => {
  const spare = { record: { ...sandbox.record, sandboxId: 'ic', state: 'restoring' }, live: undefined } as KnownSandbox;
  table.add(spare);
  isFull = true;
  await table.step(spare, 'claiming', { tenant: tenantWith('right') });
  expect(table.findByToken('right')).toBe(spare);
  await expect(table.step(spare, 'running')).rejects.toThrow('no room');
});

test('a sandbox without a token is not found by any token', async () => {
  await table.step(sandbox, 'claiming', { tenant: tenantWith('') });
  expect(table.findByToken('')).toBeUndefined();
});

describe('a fact that is noted while a write is in progress', () => {
  let writes: { readonly record: KnownSandbox['record']; readonly end: PromiseWithResolvers<undefined> }[];
  const full = (): SoulBoxError => new SoulBoxError('disk_full', 'no room');
  const egressUsage = { bytes: 7, deviceBytes: 7, generation: 'g' };
  beforeEach(() => {
    writes = [];
    const write = async (record: KnownSandbox['record']): Promise<void> => {
      const end = Promise.withResolvers<undefined>();
      writes.push({ record, end });
      await end.promise;
    };
    table = createSandboxTable({ write } as unknown as RecordStore);
    sandbox = {
      record: { sandboxId, state: 'running', tenant: tenantWith('old') } as KnownSandbox['record'],
      live: undefined,
    };
    table.add(sandbox);
  });
  const write = async (n: number): Promise<(typeof writes)[number]> =>
    await vi.waitFor(() => writes[n] ?? Promise.reject(new Error('not yet')));

  test('stays when the write fails, and what failed is undone in memory and not written later', async () => {
    const updating = table.update(sandbox, { tenant: tenantWith('new'), pagesFrom: 'c' });
    const first = await write(0);
    const noting = table.note(sandbox, { egressUsage });
    first.end.reject(full());
    await expect(updating).rejects.toThrow('no room');
    expect(sandbox.record).toEqual({ sandboxId, state: 'running', tenant: tenantWith('old'), egressUsage });
    expect([table.findByToken('old'), table.findByToken('new')]).toEqual([sandbox, undefined]);
    const second = await write(1);
    expect(second.record).toEqual(sandbox.record);
    second.end.resolve(undefined);
    await noting;
  });

  test('does not keep a pause that could not be recorded', async () => {
    const stepping = table.step(sandbox, 'pausing', { work: { promised: true } } as RecordChange);
    const first = await write(0);
    const noting = table.note(sandbox, { egressUsage });
    first.end.reject(full());
    await expect(stepping).rejects.toThrow('no room');
    expect(sandbox.record).toMatchObject({ state: 'running', egressUsage });
    expect(sandbox.record).not.toHaveProperty('work');
    (await write(1)).end.resolve(undefined);
    await noting;
  });

  test('replaces the same fact of a change that fails', async () => {
    const updating = table.update(sandbox, { egressUsage: { ...egressUsage, bytes: 1 } });
    const first = await write(0);
    const noting = table.note(sandbox, { egressUsage });
    first.end.reject(full());
    await expect(updating).rejects.toThrow('no room');
    expect(sandbox.record.egressUsage).toBe(egressUsage);
    (await write(1)).end.resolve(undefined);
    await noting;
  });

  test('is written together with what follows, and what was written is not written again', async () => {
    const noting = table.note(sandbox, { egressUsage });
    const first = await write(0);
    const second = table.note(sandbox, { pagesFrom: 'c' });
    const updating = table.update(sandbox, { tenant: tenantWith('new') });
    first.end.resolve(undefined);
    await noting;
    (await write(1)).end.resolve(undefined);
    await Promise.all([second, updating]);
    expect(writes).toHaveLength(2);
    expect(writes[1]?.record).toBe(sandbox.record);
  });
});
