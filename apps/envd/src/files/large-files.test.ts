import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createFileCalls, octetStream } from '../testing/file-calls.ts';
import { useEnvd } from '../testing/use-envd.ts';

const envd = useEnvd();

const { url, download, shell } = createFileCalls(envd);

describe('large files', () => {
  const sizeBytes = 1024 * 1024 * 1024;
  /** In addition to the usual memory of the process: buffers of the streams and garbage that is not yet collected. */
  const maxGrowthBytes = 150 * 1024 * 1024;

  async function residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${envd().pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) * 1024;
  }

  test('are uploaded and downloaded in constant memory', { timeout: 120_000 }, async () => {
    const before = await residentBytes();
    const chunk = randomBytes(1024 * 1024);
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        if ((sent += chunk.length) > sizeBytes) controller.close();
        else controller.enqueue(chunk);
      },
    });
    const init = { method: 'POST', headers: octetStream, body, duplex: 'half' };
    const response = await fetch(url({ path: '/tmp/large' }), init);
    expect(response.status).toBe(200);
    let received = 0;
    for await (const part of (await download('/tmp/large')).body ?? []) received += (part as Uint8Array).length;
    expect(received).toBe(sizeBytes);
    expect((await residentBytes()) - before).toBeLessThan(maxGrowthBytes);
    await shell('rm /tmp/large');
  });

  test('the server stops sending if a client stops reading', { timeout: 60_000 }, async () => {
    await shell('truncate -s 1G /tmp/sparse');
    const before = await residentBytes();
    const paused = await new Promise<NodeJS.ReadableStream & { destroy(): void }>((resolve, reject) => {
      httpRequest(url({ path: '/tmp/sparse' }), (response) => resolve(response.pause()))
        .on('error', reject)
        .end();
    });
    await sleep(1000);
    expect((await residentBytes()) - before).toBeLessThan(maxGrowthBytes);
    paused.destroy();
  });
});
