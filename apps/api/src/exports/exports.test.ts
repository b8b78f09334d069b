import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createExportKey, isIntact, isSigned, openExport } from '@soulbox/contract/export-file';
import { createApiKey } from '@soulbox/storage';
import { exportReaderIdleMs, importKeepaliveMs } from '../limits.ts';
import { exportedBlocks, exportedFile, exportedManifest } from '../testing/scripted-exports.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';

let api: TestApi;
let id: string;
beforeEach(async () => {
  api = await startTestApi({ config: { teamSnapshotLimit: 2 } });
  const answer = await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'base' } });
  id = (answer.json as { sandboxID: string }).sandboxID;
});
afterEach(() => api[Symbol.asyncDispose]());

const download = async (path: string, headers = { 'x-api-key': api.key }) =>
  await fetch(`${api.url}${path}`, { headers });
const send = async (body: Uint8Array, query = '') => await api.ask('POST', `/imports${query}`, { body });

async function read(response: Response) {
  const opened = await openExport(Readable.fromWeb(response.body as never));
  const blocks: Uint8Array[] = [];
  for await (const block of opened.blocks()) {
    expect(await isIntact(block)).toBe(true);
    blocks.push(block.bytes);
  }
  expect(isSigned(opened.manifestBytes, opened.signature)).toBe(true);
  return { manifest: opened.manifest, blocks };
}

describe('an export', () => {
  it.each([['', 1] as const, ['?memory=true', 2] as const])('of a sandbox%s is a signed file', async (query, count) => {
    const response = await download(`/sandboxes/${id}/export${query}`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('application/vnd.soulbox.export');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect((await read(response)).blocks.map(String)).toEqual(exportedBlocks.slice(0, count).map(String));
  });

  it('of a snapshot is found by its name, and can be signed as a URL for somebody without a key', async () => {
    await api.ask('POST', `/sandboxes/${id}/snapshots`, { body: { name: 'mine' } });
    const signed = await api.ask('POST', '/signed-urls', { body: { url: '/snapshots/mine/export', once: true } });
    const { url } = signed.json as { url: string };
    expect((await read(await fetch(url))).blocks).toHaveLength(1);
    expect((await fetch(url)).status).toBe(409);
  });

  it('is for keys of the team that may run programs', async () => {
    expect((await api.ask('GET', `/sandboxes/${id}/export`, { key: api.otherKey })).status).toBe(404);
    const { key } = await createApiKey(api.records, { id: api.teamId }, 'viewer', { scopes: ['read'] });
    expect((await api.ask('GET', `/sandboxes/${id}/export`, { key: key.reveal() })).status).toBe(403);
    expect((await api.ask('GET', `/sandboxes/${id}/export?memory=maybe`)).status).toBe(400);
  });
});

describe('an export whose reader takes nothing', () => {
  it('is one of two of its team, and is cut off', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    try {
      api.runner.exportedMore = 32;
      const path = `/sandboxes/${id}/export`;
      const stuck = await Promise.all([download(path), download(path)]);
      expect(stuck.map(({ status }) => status)).toEqual([200, 200]);
      const third = await api.ask('GET', path);
      expect([third.status, third.text]).toEqual([429, expect.stringContaining('at most 2 exports at once')]);
      api.runner.exportedMore = 0;
      // Until all buffers on the way are full. Before, the server would notice the end at its next write.
      await new Promise((resolve) => setTimeout(resolve, 700));
      vi.advanceTimersByTime(exportReaderIdleMs);
      await expect.poll(async () => (await download(path)).status).toBe(200);
      for (const response of stuck) await expect(response.bytes()).rejects.toThrow();
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('an import', () => {
  it('makes a snapshot, which replaces one of the same name, and from which sandboxes are created', async () => {
    const first = await send(await exportedFile(), '?name=copy');
    expect([first.status, first.json]).toMatchObject([
      201,
      { snapshotID: 'default/copy:default', sandboxID: 'i1', hasMemory: false, memoryLeftOut: '', settingsLeftOut: [] },
    ]);
    const again = await send(await exportedFile(exportedManifest(true), exportedBlocks), '?name=copy');
    expect(again.json).toMatchObject({ snapshotID: 'default/copy:default', hasMemory: true });
    expect(api.runner.snapshots.size).toBe(1);
    expect((await api.ask('POST', '/v2/sandboxes', { body: { templateID: 'copy' } })).status).toBe(201);
  });

  it.each<[string, () => Promise<Uint8Array>]>([
    ['is empty', async () => await Promise.resolve(new Uint8Array(0))],
    ['is something else', async () => await Promise.resolve(new Uint8Array(5000).fill(7))],
    ['is cut off in its manifest', async () => (await exportedFile()).subarray(0, 300)],
    ['is cut off in its data', async () => (await exportedFile()).subarray(0, -60)],
    [
      'is compressed wrongly',
      async () => (await exportedFile()).map((byte, at, all) => (at > all.length - 60 ? 0 : byte)),
    ],
    ['has data of another size', async () => await exportedFile(exportedManifest(false), [Buffer.alloc(5)])],
    ['has more data', async () => await exportedFile(exportedManifest(false), [...exportedBlocks, ...exportedBlocks])],
    ['has another version', async () => await exportedFile(exportedManifest(false, { version: 2 as never }))],
    [
      'declares a disk of 1 TB',
      async () =>
        await exportedFile(
          exportedManifest(false, { parts: [{ kind: 'layer', name: 'l', sizeBytes: 2 ** 40, data: [] }] }),
        ),
    ],
  ])('of a file that %s is refused, and nothing is left', async (_what, file) => {
    const { status, json } = await send(new Uint8Array(await file()));
    expect([status, json]).toEqual([400, { code: 400, message: expect.stringMatching(/^The export file/) as string }]);
    expect(api.runner.snapshots.size).toBe(0);
    expect(await api.records.snapshots.listAll()).toEqual([]);
  });

  it('of a file that nobody trusts is refused without parsing its manifest', async () => {
    // JSON.parse needs 5 s for it, in which the server would do nothing else.
    const manifest = Buffer.from('['.repeat(8_000_000) + ']'.repeat(8_000_000));
    const file = await exportedFile(manifest, [], createExportKey());
    const begun = performance.now();
    expect((await send(file)).status).toBe(403);
    expect(performance.now() - begun).toBeLessThan(3000);
  });

  it('is the only one of its team at once', async () => {
    const file = await exportedFile();
    const left = new AbortController();
    const first = fetch(`${api.url}/imports`, {
      ...{ method: 'POST', headers: { 'x-api-key': api.key }, signal: left.signal, duplex: 'half' },
      body: new ReadableStream({ start: (body) => body.enqueue(file.subarray(0, file.length - 20)) }),
    });
    await expect.poll(async () => (await api.records.snapshots.listAll()).length).toBe(1);
    const second = await send(file);
    expect([second.status, second.text]).toEqual([429, expect.stringContaining('at most 1 import at once')]);
    expect((await api.ask('POST', '/imports', { body: file, key: api.otherKey })).status).toBe(201);
    left.abort();
    await expect(first).rejects.toThrow();
    await expect.poll(async () => (await send(file)).status).toBe(201);
  });

  it('that breaks off leaves nothing', async () => {
    const file = await exportedFile(exportedManifest(true), exportedBlocks);
    const left = new AbortController();
    async function* part(): AsyncGenerator<Uint8Array> {
      yield file.subarray(0, file.length - 20);
      await new Promise((resolve) => left.signal.addEventListener('abort', resolve));
    }
    const sent = fetch(`${api.url}/imports`, {
      ...{ method: 'POST', headers: { 'x-api-key': api.key }, signal: left.signal },
      ...{ body: Readable.from(part()) as never, duplex: 'half' },
    });
    await expect.poll(async () => (await api.records.snapshots.listAll()).length).toBe(1);
    left.abort();
    await expect(sent).rejects.toThrow();
    await expect.poll(async () => (await api.records.snapshots.listAll()).length).toBe(0);
    expect(api.runner.snapshots.size).toBe(0);
  });

  it('that waits for its file tells the runner that it goes on', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const file = await exportedFile();
      const rest = Promise.withResolvers<undefined>();
      async function* slowly(): AsyncGenerator<Uint8Array> {
        yield file.subarray(0, file.length - 20);
        await rest.promise;
        yield file.subarray(file.length - 20);
      }
      const sent = fetch(`${api.url}/imports`, {
        ...{ method: 'POST', headers: { 'x-api-key': api.key }, duplex: 'half' },
        body: Readable.from(slowly()) as never,
      });
      await expect.poll(async () => (await api.records.snapshots.listAll()).length).toBe(1);
      // The timer of the blocks begins at some moment after the record.
      await expect
        .poll(() => {
          vi.advanceTimersByTime(importKeepaliveMs);
          return api.runner.importsKept.length;
        })
        .toBeGreaterThan(1);
      rest.resolve(undefined);
      expect((await sent).status).toBe(201);
    } finally {
      vi.useRealTimers();
    }
  });

  it('has the limits of snapshots, and is recorded in the audit log', async () => {
    expect((await send(await exportedFile())).status).toBe(201);
    expect((await send(await exportedFile())).status).toBe(201);
    const third = await send(await exportedFile());
    expect([third.status, third.text]).toEqual([429, expect.stringContaining('snapshots (2)')]);
    await download(`/sandboxes/${id}/export`).then(async (response) => await response.bytes());
    const actions = async (): Promise<string[]> =>
      ((await api.ask('GET', '/audit/records')).json as { action: string }[]).map(({ action }) => action);
    await expect.poll(actions).toEqual(expect.arrayContaining(['snapshot.import', 'sandbox.export']));
  });
});
