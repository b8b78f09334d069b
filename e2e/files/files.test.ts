import { createHash } from 'node:crypto';
import { serverMemoryMib } from '@soulbox/testing';
import { FileNotFoundError, InvalidArgumentError, AuthenticationError } from 'e2b';
import { expect, test } from 'vitest';
import { skipWithout } from '../harness/needs.ts';
import { sharedSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';

const sandbox = sharedSandbox();
const home = '/home/user';

test('written text is read back', async () => {
  const text = 'Grüße 世界 🚀\r\n\0end';
  const info = await sandbox().files.write(`${home}/text.txt`, text);
  expect(info).toMatchObject({ name: 'text.txt', path: `${home}/text.txt`, type: 'file' });
  expect(await sandbox().files.read(`${home}/text.txt`)).toBe(text);
});

test('bytes and blobs arrive intact in every format', async () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => (index * 7) % 256);
  await sandbox().files.write('bytes.bin', bytes.buffer);
  await sandbox().files.write('blob.bin', new Blob([bytes]));
  for (const name of ['bytes.bin', 'blob.bin']) {
    expect(Buffer.from(await sandbox().files.read(name, { format: 'bytes' })).equals(bytes)).toBe(true);
    const blob = await sandbox().files.read(name, { format: 'blob' });
    expect(Buffer.from(await blob.arrayBuffer()).equals(bytes)).toBe(true);
    const chunks: Uint8Array[] = [];
    for await (const chunk of await sandbox().files.read(name, { format: 'stream' })) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  }
});

test.each([{ gzip: true }, { useOctetStream: true }, { useOctetStream: false }, { gzip: true, useOctetStream: true }])(
  'an upload as %j is the same file',
  async (options) => {
    const text = 'line of text\n'.repeat(10_000);
    await sandbox().files.write(`${home}/form.txt`, text, options);
    expect(await sandbox().files.read(`${home}/form.txt`)).toBe(text);
    expect(await sandbox().files.read(`${home}/form.txt`, { gzip: true })).toBe(text);
  },
);

test('an empty file is empty in every format', async () => {
  await sandbox().files.write(`${home}/empty`, '');
  expect(await sandbox().files.read(`${home}/empty`)).toBe('');
  expect(await sandbox().files.read(`${home}/empty`, { format: 'bytes' })).toHaveLength(0);
  expect((await sandbox().files.getInfo(`${home}/empty`)).size).toBe(0);
});

test('one call writes several files and creates missing folders', async () => {
  const names = ['many/a.txt', 'many/deep/er/b.txt', 'many/ü mlaut.txt'];
  const infos = await sandbox().files.write(names.map((name) => ({ path: `${home}/${name}`, data: name })));
  expect(infos.map(({ path }) => path)).toEqual(names.map((name) => `${home}/${name}`));
  for (const name of names) expect(await sandbox().files.read(`${home}/${name}`)).toBe(name);
});

test('a written file belongs to its user and is truncated to its new size', async () => {
  await sandbox().files.write('/tmp/mine', 'a longer text');
  await sandbox().files.write('/tmp/mine', 'short');
  expect(await sandbox().files.getInfo('/tmp/mine')).toMatchObject({
    owner: 'user',
    group: 'user',
    mode: 0o644,
    size: 5,
  });
  await sandbox().files.write('/root/theirs', 'x', { user: 'root' });
  expect(await sandbox().files.getInfo('/root/theirs', { user: 'root' })).toMatchObject({ owner: 'root' });
});

test('relative paths start in the home of the user', async () => {
  await sandbox().files.write('relative.txt', 'here');
  expect(await sandbox().files.read(`${home}/relative.txt`)).toBe('here');
  expect(await sandbox().files.read('~/relative.txt')).toBe('here');
});

test('metadata stays with a file until it is written anew', async (context) => {
  skipWithout('fileAttributes', context);
  const path = `${home}/tagged`;
  const written = await sandbox().files.write(path, 'x', { metadata: { Author: 'me', kind: 'note 1' } });
  expect(written.metadata).toEqual({ author: 'me', kind: 'note 1' });
  expect((await sandbox().files.getInfo(path)).metadata).toEqual({ author: 'me', kind: 'note 1' });
  await sandbox().files.write(path, 'y');
  expect((await sandbox().files.getInfo(path)).metadata ?? {}).toEqual({});
});

test('reading a missing file, a folder, or as an unknown user fails with the right error', async () => {
  await expect(sandbox().files.read('/no/such/file')).rejects.toThrow(FileNotFoundError);
  await expect(sandbox().files.read('/no/such/file')).rejects.toThrow("path '/no/such/file' does not exist");
  await expect(sandbox().files.read('/etc')).rejects.toThrow(InvalidArgumentError);
  await expect(sandbox().files.write('/etc', 'x', { user: 'root' })).rejects.toThrow(InvalidArgumentError);
  await expect(sandbox().files.read('/etc/hostname', { user: 'nobody-knows' })).rejects.toThrow(AuthenticationError);
});

const streamedBytes = 300 * 1024 * 1024;
const chunk = Buffer.alloc(1024 * 1024, 'SoulBox ');

const serverMemoryMb = (): number => serverMemoryMib(server.pid);

test('300 MB are uploaded and downloaded as streams without filling the memory of the server', async () => {
  const before = serverMemoryMb();
  const hash = createHash('sha256');
  let sent = 0;
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent === streamedBytes) {
        controller.close();
        return;
      }
      sent += chunk.length;
      hash.update(chunk);
      controller.enqueue(new Uint8Array(chunk));
    },
  });
  await sandbox().files.write(`${home}/large.bin`, source, { requestTimeoutMs: 120_000 });
  const expected = hash.digest('hex');
  const inside = await sandbox().commands.run(`sha256sum ${home}/large.bin`, { timeoutMs: 60_000 });
  expect(inside.stdout.split(' ')[0]).toBe(expected);

  const received = createHash('sha256');
  const stream = await sandbox().files.read(`${home}/large.bin`, { format: 'stream', requestTimeoutMs: 120_000 });
  for await (const part of stream) received.update(part);
  expect(received.digest('hex')).toBe(expected);
  expect(serverMemoryMb() - before).toBeLessThan(200);
  await sandbox().files.remove(`${home}/large.bin`);
}, 180_000);

test('a download that is abandoned half-way leaves nothing behind', async () => {
  await sandbox().commands.run(`head -c 50000000 /dev/zero > ${home}/big`);
  for (let count = 0; count < 5; count++) {
    const stream = await sandbox().files.read(`${home}/big`, { format: 'stream' });
    const reader = stream.getReader();
    await reader.read();
    await reader.cancel();
  }
  const { stdout } = await sandbox().commands.run('ls -l /proc/*/fd 2>/dev/null | grep -c home/user/big || true', {
    user: 'root',
  });
  expect(stdout).toBe('0\n');
});
