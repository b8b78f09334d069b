import { createGzip } from 'node:zlib';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { statfs } from 'node:fs/promises';
import { listHostTraces, serverMemoryMib } from '@soulbox/testing';
import { Breach } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';
import { ask, toPort } from './raw.ts';

const growthMib = 250;

/** Programs that use up something. Each runs for `seconds`, as the user. */
const programs: readonly (readonly [name: string, seconds: number, program: string])[] = [
  [
    'starts processes without an end (fork bomb)',
    6,
    'import os\nwhile True:\n  try: os.fork()\n  except OSError: pass',
  ],
  [
    'starts threads without an end',
    5,
    'import threading, time\nwhile True:\n  try: threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n  except RuntimeError: time.sleep(0.01)',
  ],
  ['fills the memory', 6, 'kept = []\nwhile True: kept.append(bytearray(16_000_000))'],
  ['fills /dev/shm', 6, 'with open("/dev/shm/full", "wb") as file:\n  while True: file.write(bytes(1_000_000))'],
  [
    'uses up the inodes',
    8,
    'import os\nos.makedirs("/tmp/many", exist_ok=True)\nn = 0\nwhile True:\n  n += 1\n  open("/tmp/many/%d" % n, "w").close()',
  ],
  [
    'opens files without an end',
    4,
    'import resource, time\nsoft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\nresource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))\nkept = []\ntry:\n  while True: kept.append(open("/etc/passwd"))\nexcept OSError: time.sleep(60)',
  ],
  [
    'opens connections without an end',
    6,
    'import socket\nkept = []\nwhile True:\n  try:\n    opened = socket.socket()\n    opened.setblocking(False)\n    opened.connect_ex(("45.67.89.30", 80))\n    kept.append(opened)\n  except OSError: kept.clear()',
  ],
  [
    'sends datagrams without an end',
    4,
    'import socket\nopened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nn = 0\nwhile True:\n  n += 1\n  try: opened.sendto(b"x" * 1000, ("45.67.89.30", n % 65535 + 1))\n  except OSError: pass',
  ],
  [
    'queues signals, locks memory and watches files without an end',
    4,
    'import ctypes, os, signal, time\nlibc = ctypes.CDLL(None)\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN})\nn = 0\nwhile libc.sigqueue(os.getpid(), int(signal.SIGRTMIN), ctypes.c_void_p(0)) == 0: n += 1\nwhile libc.inotify_init1(0) >= 0: n += 1\nlibc.mlockall(3)\ntime.sleep(60)',
  ],
  [
    'makes pipes full of data without an end',
    4,
    'import os, time\nkept = []\ntry:\n  while True:\n    ends = os.pipe()\n    os.set_blocking(ends[1], False)\n    os.write(ends[1], bytes(65536))\n    kept.append(ends)\nexcept OSError: time.sleep(60)',
  ],
  [
    'writes without an end',
    8,
    'with open("/home/user/full", "wb") as file:\n  while True: file.write(bytes(4_000_000))',
  ],
];

async function runProgram(world: World, seconds: number, program: string): Promise<string> {
  const { target, neighbor } = world;
  return await world.withSandbox(async (sandbox) => {
    const before = serverMemoryMib(target.pid);
    await sandbox.files.write('/tmp/flood.py', program);
    await sandbox.commands.run(`timeout -s KILL ${seconds} python3 /tmp/flood.py >/dev/null 2>&1`, {
      background: true,
      timeoutMs: 0,
    });
    let slowestMs = 0;
    const endAt = Date.now() + seconds * 1000;
    while (Date.now() < endAt) {
      const askedAt = performance.now();
      const harm = await neighbor.findHarm();
      if (harm.length > 0) throw new Breach(harm.join('; '));
      slowestMs = Math.max(slowestMs, performance.now() - askedAt);
      await sleep(100);
    }
    const killedAt = Date.now();
    await sandbox.kill();
    while ((await listHostTraces(target.instance)).join('\n').includes(sandbox.sandboxId)) {
      if (Date.now() - killedAt > 30_000) throw new Breach('the sandbox is still there 30 s after its kill');
      await sleep(100);
    }
    const growth = Math.round(serverMemoryMib(target.pid) - before);
    if (growth > growthMib) throw new Breach(`the server has grown by ${growth} MiB`);
    return `the neighbor answered within ${Math.round(slowestMs)} ms, the kill took ${Date.now() - killedAt} ms, the server grew by ${growth} MiB`;
  });
}

async function floodOutput(world: World): Promise<string> {
  const { target } = world;
  return await world.withSandbox(async (sandbox) => {
    const before = serverMemoryMib(target.pid);
    const handles = await Promise.all(
      Array.from(
        { length: 8 },
        async () => await sandbox.commands.run('yes flood', { background: true, timeoutMs: 0 }),
      ),
    );
    for (const handle of handles) await handle.disconnect();
    for (let n = 0; n < 300; n += 1) await sandbox.commands.run('true').catch(() => undefined);
    await ask(target.port, `/sandboxes/${sandbox.sandboxId}/logs`, { headers: { 'x-api-key': target.apiKey } });
    const { stdout } = await sandbox.commands.run(`awk '/VmRSS/ { print $2 }' /proc/1/status`, { user: 'root' });
    if (Number(stdout) > 500_000) throw new Breach(`envd uses ${stdout.trim()} KiB`);
    const growth = Math.round(serverMemoryMib(target.pid) - before);
    if (growth > growthMib) throw new Breach(`the server has grown by ${growth} MiB`);
    return `envd uses ${stdout.trim()} KiB, the server grew by ${growth} MiB`;
  });
}

const zeros = async (bytes: number): Promise<Buffer> => {
  const part = Buffer.alloc(1024 * 1024);
  const parts = Readable.from(
    (function* () {
      for (let done = 0; done < bytes; done += part.length) yield part;
    })(),
  );
  return await buffer(parts.pipe(createGzip({ level: 9 })));
};

/** 1 MB that stands for 1 GB. */
async function uploadBomb(world: World): Promise<string> {
  const { target } = world;
  return await world.withSandbox(async (sandbox) => {
    const before = serverMemoryMib(target.pid);
    const free = await statfs(target.dataDirectory);
    const token = (sandbox as unknown as { envdAccessToken: string }).envdAccessToken;
    const body = await zeros(1024 ** 3);
    const headers = {
      ...toPort(sandbox.sandboxId, 49983),
      ...{ 'x-access-token': token, 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' },
    };
    const answer = await ask(target.port, '/files?path=/home/user/bomb', { method: 'POST', headers, body }).then(
      ({ status }) => String(status),
      (error: unknown) => String(error),
    );
    const growth = Math.round(serverMemoryMib(target.pid) - before);
    if (growth > growthMib) throw new Breach(`the server has grown by ${growth} MiB`);
    const { stdout } = await sandbox.commands.run(`awk '/VmRSS/ { print $2 }' /proc/1/status`, { user: 'root' });
    if (Number(stdout) > 500_000) throw new Breach(`envd uses ${stdout.trim()} KiB`);
    const after = await statfs(target.dataDirectory);
    const usedMb = Math.round(((free.bavail - after.bavail) * free.bsize) / 1024 ** 2);
    return `${body.length} bytes for 1 GiB: answer ${answer}, envd uses ${stdout.trim()} KiB, the server grew by ${growth} MiB, ${usedMb} MiB of the disk of the host`;
  });
}

const shares = { kind: 'scene', wall: 'shares', pace: 'long' } as const;

export const floods: readonly Scene[] = [
  ...programs.map(([name, seconds, program]): Scene => ({
    ...shares,
    by: ['user'],
    name,
    run: async (world) => await runProgram(world, seconds, program),
  })),
  { ...shares, wall: 'floods', by: ['user'], name: 'floods the outputs of commands and the log', run: floodOutput },
  {
    ...shares,
    wall: 'floods',
    by: ['outside'],
    name: 'uploads a file that grows when it is unpacked',
    run: uploadBomb,
  },
];
