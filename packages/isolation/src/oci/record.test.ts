import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findRecord, writeRecord } from './record.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-record-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

test('a record is read as it was written', async () => {
  const path = join(folder, 'container.json');
  await writeRecord(path, { state: 'starting' });
  expect(await findRecord(path)).toEqual({ state: 'starting' });
  const running = { state: 'running', bootId: 'b', initPid: 7, initStartTicks: 9, namespaceOwner: 5 } as const;
  await writeRecord(path, running);
  expect(await findRecord(path)).toEqual(running);
});

test.each([
  '',
  '{',
  'null',
  '[]',
  '{}',
  '{"state":"other"}',
  '{"state":"running"}',
  '{"state":"running","bootId":1,"initPid":2,"initStartTicks":3,"namespaceOwner":4}',
  '{"state":"running","bootId":"b","initPid":"2","initStartTicks":3,"namespaceOwner":4}',
  '{"state":"running","bootId":"b","initPid":2,"initStartTicks":3,"namespaceOwner":"4"}',
])('%j is no record', async (text) => {
  const path = join(folder, 'container.json');
  await writeFile(path, text);
  expect(await findRecord(path)).toBeUndefined();
});

test('a missing file is no record', async () => {
  expect(await findRecord(join(folder, 'none'))).toBeUndefined();
});
