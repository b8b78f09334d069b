import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeObjectFaults } from '../../conformance/object-faults.ts';
import { describeObjects } from '../../conformance/objects.ts';
import { startFaultProxy } from '../../testing/fault-proxy.ts';
import type { FaultProxy } from '../../testing/fault-proxy.ts';
import { startGcsServer } from '../../testing/gcs-server.ts';
import type { GcsServer } from '../../testing/gcs-server.ts';
import type { ObjectStore } from '../object-store.ts';
import { openObjectStore } from '../open-object-store.ts';
import type { StoreLimits } from '../store-options.ts';

let folder: string;
let server: GcsServer;
let proxy: FaultProxy;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-gcs-'));
  server = await startGcsServer();
  proxy = await startFaultProxy(server.url);
  await writeFile(join(folder, 'credentials'), JSON.stringify(server.serviceAccount), { mode: 0o600 });
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  await removeTree(folder);
});

const open = (prefix: string, limits: Partial<StoreLimits> = {}): Promise<ObjectStore> => {
  const url = `gs://bucket/${prefix}?endpoint=${proxy.url}`;
  return openObjectStore(url, { credentialsFile: join(folder, 'credentials'), limits });
};

describeObjects('Google Cloud Storage', { open: (prefix) => open(`of gcs/ü+%25/${prefix}`) });

describeObjectFaults('Google Cloud Storage', {
  proxy: () => proxy,
  open: (limits) => open('', limits),
  error: (status) => ({
    ...{ kind: 'answer', status },
    body: JSON.stringify({ error: { code: status, message: 'no', errors: [{ reason: 'no' }] } }),
  }),
  isPut: ({ method, path }) => method === 'POST' && path.includes('uploadType=multipart'),
  isPart: ({ method, headers }) => method === 'PUT' && /\/\*$/.test(headers['content-range'] ?? ''),
  isFinish: ({ method, headers }) => method === 'PUT' && /\/\d+$/.test(headers['content-range'] ?? ''),
});

test('a bucket that does not exist, and a file that has no credentials, say so', async () => {
  const url = `gs://other-bucket?endpoint=${proxy.url}`;
  await using store = await openObjectStore(url, { credentialsFile: join(folder, 'credentials') });
  await expect(store.list()).rejects.toMatchObject({ reason: 'config_invalid' });
  await writeFile(join(folder, 'none'), '{}', { mode: 0o600 });
  const none = openObjectStore(url, { credentialsFile: join(folder, 'none') });
  await expect(none).rejects.toMatchObject({ reason: 'config_invalid' });
});
