import { SoulBoxError } from '@soulbox/base';
import { beforeEach, expect, test } from 'vitest';
import type { RecordStore, Tenant } from './record.ts';
import { createSandboxTable } from './table.ts';
import type { KnownSandbox, SandboxTable } from './table.ts';

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
