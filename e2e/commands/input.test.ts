import { SandboxError } from 'e2b';
import { expect, test } from 'vitest';
import { sharedSandbox } from '../harness/sandbox.ts';

const sandbox = sharedSandbox();

test('stdin is empty unless the caller asks for it', async () => {
  expect((await sandbox().commands.run('cat; echo end')).stdout).toBe('end\n');
});

test('input reaches the command, and closing ends it', async () => {
  const handle = await sandbox().commands.run('cat', { background: true, stdin: true });
  await handle.sendStdin('one ');
  await handle.sendStdin('');
  await handle.sendStdin('zwei ü 🚀');
  await handle.closeStdin();
  expect(await handle.wait()).toMatchObject({ exitCode: 0, stdout: 'one zwei ü 🚀' });
});

test('bytes that are not text arrive intact', async () => {
  const bytes = Uint8Array.from({ length: 4096 }, (_, index) => index % 256);
  const handle = await sandbox().commands.run('sha256sum', { background: true, stdin: true });
  await handle.sendStdin(bytes);
  await handle.closeStdin();
  const { createHash } = await import('node:crypto');
  expect((await handle.wait()).stdout).toContain(createHash('sha256').update(bytes).digest('hex'));
});

test('8 MB of input in pieces arrive in order', async () => {
  const piece = 'x'.repeat(65_536);
  const handle = await sandbox().commands.run('wc -c', { background: true, stdin: true });
  for (let count = 0; count < 128; count++) await handle.sendStdin(piece);
  await handle.closeStdin();
  expect((await handle.wait()).stdout.trim()).toBe(String(128 * 65_536));
});

test('closing twice is allowed, sending afterwards is not', async () => {
  const handle = await sandbox().commands.run('cat; sleep 20', { background: true, stdin: true });
  await handle.closeStdin();
  await handle.closeStdin();
  await expect(handle.sendStdin('late')).rejects.toThrow(SandboxError);
  await handle.kill();
  await handle.wait().catch(() => undefined);
});

test('a command without stdin refuses input', async () => {
  const handle = await sandbox().commands.run('sleep 20', { background: true });
  await expect(handle.sendStdin('x')).rejects.toThrow(SandboxError);
  await handle.kill();
  await handle.wait().catch(() => undefined);
});
