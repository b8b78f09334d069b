import { Sandbox } from 'e2b';
import { expect, onTestFinished, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { needs } from '../harness/needs.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { until } from '../harness/until.ts';

needs('checkpoint');

const name = (): string => `snap-${Math.random().toString(36).slice(2, 10)}`;

async function takeSnapshot(sandbox: Sandbox, options: { name?: string } = {}): Promise<string> {
  const { snapshotId } = await sandbox.createSnapshot(options);
  onTestFinished(async () => {
    await Sandbox.deleteSnapshot(snapshotId);
  });
  return snapshotId;
}

/** A process whose memory contains a word that is on no disk. */
async function remember(sandbox: Sandbox, word: string): Promise<void> {
  const script = `import http.server, sys\nword = sys.stdin.readline().strip()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(word.encode())
    def log_message(self, *_): pass
http.server.HTTPServer(('127.0.0.1', 8090), H).serve_forever()`;
  await sandbox.files.write('remember.py', script);
  const handle = await sandbox.commands.run('python3 remember.py', { background: true, stdin: true, timeoutMs: 0 });
  await sandbox.commands.sendStdin(handle.pid, `${word}\n`);
  handle.wait().catch(() => undefined);
  await until('it listens', async () => (await recall(sandbox)) === word);
}

async function recall(sandbox: Sandbox): Promise<string> {
  const { stdout } = await sandbox.commands.run('curl -s http://127.0.0.1:8090/ || true');
  return stdout;
}

test('the source continues, and the snapshot can be used after the source is gone', async () => {
  const source = await createSandbox({ envs: { WHO: 'source' } });
  await remember(source, 'walrus');
  await source.files.write('file.txt', 'of the snapshot');
  const snapshotId = await takeSnapshot(source);
  expect(await recall(source)).toBe('walrus');
  await source.files.write('file.txt', 'changed later');
  await source.kill();

  const copies = await Promise.all([Sandbox.create(snapshotId, { envs: { WHO: 'copy' } }), Sandbox.create(snapshotId)]);
  onTestFinished(async () => {
    await Promise.all(copies.map(async (copy) => await copy.kill()));
  });
  for (const copy of copies) {
    expect(await recall(copy)).toBe('walrus');
    expect(await copy.files.read('file.txt')).toBe('of the snapshot');
    expect((await copy.commands.run('hostname')).stdout.trim()).not.toBe(source.sandboxId);
  }
  expect((await copies[0].commands.run('echo $WHO')).stdout).toBe('copy\n');
  await copies[0].files.write('file.txt', 'mine');
  expect(await copies[1].files.read('file.txt')).toBe('of the snapshot');
});

test('a named snapshot is listed, can be used by its name, and is gone after its deletion', async () => {
  const source = await createSandbox();
  await source.files.write('file.txt', 'named');
  const wanted = name();
  const snapshotId = await takeSnapshot(source, { name: wanted });
  const listed = await Sandbox.listSnapshots({ sandboxId: source.sandboxId }).nextItems();
  expect(listed.map((snapshot) => snapshot.snapshotId)).toEqual([snapshotId]);

  const copy = await Sandbox.create(wanted);
  expect(await copy.files.read('file.txt')).toBe('named');
  expect(await Sandbox.deleteSnapshot(snapshotId)).toBe(true);
  expect(await Sandbox.deleteSnapshot(snapshotId)).toBe(false);
  expect(await Sandbox.listSnapshots({ sandboxId: source.sandboxId }).nextItems()).toEqual([]);
  await expect(Sandbox.create(wanted)).rejects.toThrow();
  expect(await copy.files.read('file.txt')).toBe('named');
  await copy.kill();
});

test('a paused sandbox can be saved as a snapshot and stays paused', async () => {
  const source = await createSandbox();
  await remember(source, 'otter');
  await source.pause();
  const snapshotId = await takeSnapshot(source);
  expect((await source.getInfo()).state).toBe('paused');
  const copy = await Sandbox.create(snapshotId);
  expect(await recall(copy)).toBe('otter');
  await copy.kill();
  await source.connect();
  expect(await recall(source)).toBe('otter');
});

test('snapshots of copies of snapshots work', async () => {
  let current = await createSandbox();
  await remember(current, 'deep');
  for (let depth = 0; depth < 4; depth++) {
    await current.files.write(`depth-${String(depth)}`, String(depth));
    const snapshotId = await takeSnapshot(current);
    current = await Sandbox.create(snapshotId);
    const copy = current;
    onTestFinished(async () => {
      await copy.kill();
    });
  }
  expect(await recall(current)).toBe('deep');
  expect((await current.files.list('/home/user')).map((entry) => entry.name)).toEqual(
    expect.arrayContaining(['depth-0', 'depth-1', 'depth-2', 'depth-3']),
  );
});

test.each(['', 'UPPER CASE', 'a/b/c', '../x', 'a b', 'x'.repeat(200), 'ü', 'a:b:c'])(
  'the name %j is refused with 400',
  async (bad) => {
    const sandbox = await createSandbox();
    const { status } = await askApi('POST', `/sandboxes/${sandbox.sandboxId}/snapshots`, { name: bad });
    expect(status).toBe(400);
    expect(await sandbox.isRunning()).toBe(true);
  },
);
