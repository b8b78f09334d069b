import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { removeTree } from '@soulbox/base';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tellServiceManager } from './service-manager.ts';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-notify-'));
});

afterAll(async () => {
  await removeTree(folder);
});

/**
 * Behaves like systemd: receives one datagram and asks the kernel for the sender. `systemd-notify` also sends a
 * descriptor, to find out when the datagram was read.
 */
const manager = `
import os, socket, struct, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
listener.bind(sys.argv[1])
print('listening', flush=True)
while True:
    data, extra, _, _ = listener.recvmsg(4096, 256)
    for level, kind, content in extra:
        if kind == socket.SCM_RIGHTS:
            for fd in struct.unpack('%di' % (len(content) // 4), content): os.close(fd)
        if kind == socket.SCM_CREDENTIALS and b'READY' in data:
            print(struct.unpack('3i', content)[0], ' '.join(data.decode().split()), flush=True)
`;

test('the service manager is told that this very process is ready', async () => {
  const socket = join(await mkdtemp(join(folder, 'run-')), 'notify');
  const listener = spawn('python3', ['-c', manager, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const lines = createInterface({ input: listener.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('listening');
    await tellServiceManager(['READY=1', 'STATUS=Serving'], socket);
    expect((await lines.next()).value).toMatch(new RegExp(`^${process.pid} .*READY=1 STATUS=Serving$`));
  } finally {
    listener.kill();
    await once(listener, 'exit');
  }
});

test('a missing manager does not prevent the start of a server', async () => {
  await expect(tellServiceManager(['READY=1'], join(folder, 'gone'))).resolves.toBeUndefined();
});
