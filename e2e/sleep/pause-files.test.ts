import { expect, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { createSandbox } from '../harness/sandbox.ts';

test('a pause without memory starts afresh on the same files, with a new boot id', async () => {
  const sandbox = await createSandbox();
  await sandbox.commands.run('exec sleep 4242', { background: true, timeoutMs: 0 });
  await sandbox.files.write('kept.txt', 'kept');
  const bootId = await sandbox.files.read('/proc/sys/kernel/random/boot_id');
  expect(await sandbox.pause({ keepMemory: false })).toBe(true);
  await sandbox.connect();
  expect(await sandbox.files.read('kept.txt')).toBe('kept');
  expect(await sandbox.files.read('/proc/sys/kernel/random/boot_id')).not.toBe(bootId);
  expect((await sandbox.commands.run("pgrep -fx 'sleep 4242' || echo none")).stdout).toBe('none\n');
  expect((await sandbox.commands.run('echo $E2B_SANDBOX_ID')).stdout.trim()).toBe(sandbox.sandboxId);
});

test('a pause or resume of a missing sandbox is a 404 in the usual format', async () => {
  for (const step of ['pause', 'resume', 'connect', 'fork', 'snapshots']) {
    const { status, json } = await askApi('POST', `/sandboxes/i00000000000000000000/${step}`, { timeout: 10 });
    expect({ step, status, code: (json as { code: number }).code }).toEqual({ step, status: 404, code: 404 });
  }
});
