// The network rules of a sandbox apply from the first packet after a restore of its memory. A program inside sends
// without a break, so the outside sees everything that is open for a moment.
import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { needs } from '../harness/needs.ts';
import { openOutside } from '../harness/outside.ts';
import type { Outside } from '../harness/outside.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { until } from '../harness/until.ts';

needs('checkpoint');

const address = '45.67.89.20';
let outside: Outside;
beforeAll(async () => {
  outside = await openOutside([address]);
});
afterAll(async () => {
  await outside[Symbol.asyncDispose]();
});

/** Sends datagrams with its word and opens connections as fast as possible. Counts its attempts in memory. */
const sender = (word: string): string => `
import socket, os
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.setblocking(False)
tried = 0
while True:
  try: udp.sendto(b'${word}', ('${address}', 53))
  except OSError: pass
  tcp = socket.socket()
  tcp.setblocking(False)
  tcp.connect_ex(('${address}', 80))
  tcp.close()
  tried += 1
  if tried % 500 == 0:
    open('/tmp/tried.new', 'w').write(str(tried)); os.rename('/tmp/tried.new', '/tmp/tried')
`;

async function startSending(sandbox: Sandbox, word: string): Promise<void> {
  await sandbox.files.write('/tmp/send.py', sender(word));
  const handle = await sandbox.commands.run('python3 /tmp/send.py', { background: true, timeoutMs: 0 });
  await handle.disconnect();
  await triesMore(sandbox);
}

/** Checks that it continues: packets after a restore come from the restored program. */
async function triesMore(sandbox: Sandbox): Promise<void> {
  const tried = async (): Promise<number> => Number(await sandbox.files.read('/tmp/tried').catch(() => '0'));
  const before = await tried();
  await until('more packets', async () => (await tried()) > before);
}

test('the outside receives packets of an open sandbox, so silence in the next tests means closed', async () => {
  await startSending(await createSandbox(), 'open');
  await until('the datagrams', async () => (await outside.heard()).includes('open'));
});

test('a closed sandbox sends nothing out, across pauses, forks and snapshots', { timeout: 180_000 }, async () => {
  const closed = { allowInternetAccess: false };
  const sandbox = await createSandbox(closed);
  await startSending(sandbox, 'closed');
  for (let round = 0; round < 4; round++) {
    await sandbox.pause();
    await sandbox.connect();
    await triesMore(sandbox);
  }
  const copies = (await sandbox.fork({ count: 3, timeoutMs: 120_000 })).filter((copy) => copy instanceof Sandbox);
  onTestFinished(async () => {
    await Promise.all(copies.map(async (copy) => await copy.kill()));
  });
  expect(copies).toHaveLength(3);
  for (const copy of copies) await triesMore(copy);
  const { snapshotId } = await sandbox.createSnapshot();
  const made = await Sandbox.create(snapshotId, closed);
  onTestFinished(async () => {
    await made.kill();
    await Sandbox.deleteSnapshot(snapshotId);
  });
  await triesMore(made);
  expect(await outside.heard()).not.toContain('closed');
});

test('a closed sandbox from the snapshot of an open one is closed at once', async () => {
  const source = await createSandbox();
  await startSending(source, 'before');
  const { snapshotId } = await source.createSnapshot();
  onTestFinished(async () => {
    await Sandbox.deleteSnapshot(snapshotId);
  });
  await source.kill();
  await until('silence', async () => {
    await outside.forget();
    await sleep(200);
    return !(await outside.heard()).includes('before');
  });
  const made = await Sandbox.create(snapshotId, { allowInternetAccess: false });
  onTestFinished(async () => {
    await made.kill();
  });
  await triesMore(made);
  expect(await outside.heard()).not.toContain('before');
});
