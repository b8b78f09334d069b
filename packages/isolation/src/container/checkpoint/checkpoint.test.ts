// Failures that only CRIU can cause.
import { spawn } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { run, SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { hostTraces } from '../../conformance/host-traces.ts';
import { freezeInto, pause, savedMemory, stopAndSave } from '../../conformance/saved-sandboxes.ts';
import { openPreparedBench } from '../../conformance/prepared-bench.ts';
import type { TestSandbox } from '../../conformance/test-sandbox.ts';
import { usualLimits } from '../../conformance/test-sandbox.ts';
import type { SandboxSpec, SavedMemory } from '../../driver.ts';
import { openCgroups } from '../../cgroup/open-cgroups.ts';
import { killPids, listPids } from '../../cgroup/tree.ts';
import { endHostTools, toolsOf } from '../../host/host-tool.ts';
import { cgroupOf } from '../../host/names.ts';
import { createContainerDriver } from '../driver.ts';
import { layoutOf } from '../layout.ts';
import { testInstance } from '../testing/test-instance.ts';
import { criu } from '../testing/test-criu.ts';

const driver = createContainerDriver({ logger: silentLogger, instance: testInstance, criu });
const tools = { instance: testInstance, cgroups: openCgroups() };
const startProgram = fileURLToPath(new URL('../testing/start-program.ts', import.meta.url));
const bench = await openPreparedBench({ driver, instanceNumber: testInstance, firstNumber: 600 });

const python = async (sandbox: TestSandbox, program: string): Promise<void> => {
  await sandbox.sh(`cat > /program.py << 'END'\n${program}\nopen("/ready", "w"); time.sleep(600)\nEND`);
  await sandbox.sh('setsid python3 /program.py > /program.log 2>&1 & until [ -e /ready ]; do sleep 0.05; done');
};

const expectGone = async (spec: SandboxSpec): Promise<void> => {
  expect(await hostTraces(spec)).toEqual([]);
  expect(await driver.listTraces()).not.toContain(spec.sandboxId);
};

/**
 * Kills CRIU and all its scripts, wherever they are, by the mark in their environment, which restored processes do not
 * have.
 */
async function killMarked(sandboxId: string): Promise<void> {
  const mark = `SOULBOX_TOOL_FOR=${toolsOf(tools, sandboxId).traceName}`;
  for (const name of await readdir('/proc')) {
    const environment = /^\d+$/.test(name) ? await readFile(`/proc/${name}/environ`, 'latin1').catch(() => '') : '';
    if (environment.split('\0').includes(mark)) killPids([Number(name)]);
  }
}

const roomy = { ...usualLimits, diskMb: 600, memoryMb: 600 };

const unsaveable: readonly (readonly [string, string, string])[] = [
  [
    'a socket of a kind that cannot be saved',
    'import socket, time; s = socket.socket(16, 3, 0); s.bind((0, 0)); s.send(bytes([20, 0, 0, 0, 18, 0, 1, 3] + [0] * 12))',
    'a program uses a socket of a kind that cannot be saved',
  ],
  [
    'data for a server that does not accept its connection on a Unix socket',
    'import socket, time; s = socket.socket(1); s.bind("/s"); s.listen(); c = socket.socket(1); c.connect("/s"); c.send(b"x")',
    'a program waits on a Unix socket for a server that does not accept its connection',
  ],
  [
    'an open file of a kind that cannot be saved',
    'import ctypes, time; assert ctypes.CDLL(None).syscall(444, (ctypes.c_uint64 * 1)(1), 8, 0) >= 0',
    'a program has a file open that cannot be saved',
  ],
  [
    'a large deleted file',
    'import os, time; f = open("/large", "wb"); [f.write(bytes(1 << 20)) for _ in range(300)]; os.unlink("/large")',
    'a program has a deleted file of more than 256 MiB open',
  ],
  [
    'an open file that lost its name but has another',
    'import os, time; f = open("/one", "w"); os.link("/one", "/other"); os.unlink("/one")',
    'a program has a file open whose name was deleted but which has other hard links, or that was created in a shared volume while another program looked for it',
  ],
  [
    'a terminal that is held by its common name',
    'import os, pty, time\nif pty.fork()[0] == 0: os.execvp("sh", ["sh", "-c", "sleep 600 3<>/dev/tty"])\ntime.sleep(0.3)',
    'a program has /dev/tty open, for example for a password prompt',
  ],
];

test.each(unsaveable)(
  '%s makes the checkpoint fail with that as its reason, and the sandbox continues',
  async (_, program, why) => {
    await using sandbox = await bench.start({ limits: roomy });
    await python(sandbox, program);
    const failure = await stopAndSave(bench, sandbox.instance).catch((error: unknown) => error);
    expect(failure).toMatchObject({ reason: 'checkpoint_failed', message: `The sandbox could not be saved: ${why}.` });
    await driver.thaw(sandbox.instance);
    expect((await sandbox.sh('pgrep -c python3')).stdout).toBe('1\n');
  },
);

// CRIU changes registers and code of a process for a moment, so that the process runs CRIU's code. If CRIU is killed in
// that moment, the process dies with it, and nothing can repair that. The busier the machine, the longer the moment.
test(
  'killing CRIU at any moment of a checkpoint leaves the sandbox intact, or ends it and leaves nothing',
  { tags: ['long'], timeout: 120_000 },
  async () => {
    const begin = async (): Promise<TestSandbox> => {
      const sandbox = await bench.start();
      await python(sandbox, 'import os, time; data = os.urandom(100 << 20)');
      return sandbox;
    };
    let sandbox = await begin();
    let failed = 0;
    let whole = 0;
    for (let delayMs = 0; delayMs < 240; delayMs += 12) {
      await driver.freeze(sandbox.instance);
      const saving = driver.checkpoint(sandbox.instance, await bench.makeFolder()).then(
        () => undefined,
        (error: unknown) => error,
      );
      await sleep(delayMs);
      await endHostTools(toolsOf(tools, sandbox.spec.sandboxId));
      const failure = await saving;
      if (failure !== undefined) failed++;
      if (failure !== undefined) expect(failure).toMatchObject({ reason: 'checkpoint_failed' });
      await driver.thaw(sandbox.instance).catch(() => undefined);
      const said = await sandbox.sh('pgrep -c python3').catch(() => undefined);
      if (said?.stdout === '1\n') whole++;
      else {
        if (said === undefined) await vi.waitUntil(() => !driver.isAlive(sandbox.instance), 10_000);
        await sandbox[Symbol.asyncDispose]();
        await expectGone(sandbox.spec);
        sandbox = await begin();
      }
    }
    expect(failed).toBeGreaterThan(3);
    expect(whole).toBeGreaterThan(10);
    sandbox = await pause(bench, sandbox, 0);
    expect((await sandbox.sh('pgrep -c python3')).stdout).toBe('1\n');
    await sandbox[Symbol.asyncDispose]();
    await expectGone(sandbox.spec);
  },
);

test(
  'killing CRIU at any moment of a restore fails it and leaves nothing',
  { tags: ['long'], timeout: 120_000 },
  async () => {
    const { memory, layer } = await freezeInto(bench, await bench.start());
    let failed = 0;
    for (let delayMs = 0; delayMs < 150; delayMs += 8) {
      const spec = await bench.createSpec({ layers: [layer] });
      const restoring = driver.restore(spec, memory).then(
        () => undefined,
        (error: unknown) => error,
      );
      await sleep(delayMs);
      await killMarked(spec.sandboxId);
      const failure = await restoring;
      if (failure !== undefined) failed++;
      if (failure !== undefined) await expectGone(spec);
      await driver.destroy(spec.sandboxId, spec.directory);
      await expectGone(spec);
    }
    expect(failed).toBeGreaterThan(3);
  },
);

test(
  'after a server is killed at any moment of a restore, destroy can remove the rest',
  { tags: ['long'], timeout: 120_000 },
  async () => {
    const { memory, layer } = await freezeInto(bench, await bench.start());
    for (let delayMs = 0; delayMs < 200; delayMs += 12) {
      const spec = await bench.createSpec({ layers: [layer] });
      await restoreInOtherProcess(spec, memory, delayMs);
      await driver.destroy(spec.sandboxId, spec.directory);
      await expectGone(spec);
    }
  },
);

test('if a server is killed while it saves, the sandbox can be adopted, thawed and saved', async () => {
  let sandbox = await bench.start();
  await mkdirOfTools(sandbox);
  const later = createContainerDriver({ logger: silentLogger, instance: testInstance, criu });
  const adopted = await later.adopt(sandbox.spec.sandboxId, sandbox.spec.directory);
  expect(adopted).toEqual(sandbox.instance);
  sandbox = await pause(bench, sandbox, 0);
  await sandbox[Symbol.asyncDispose]();
  await expectGone(sandbox.spec);
});

test('a restored sandbox that queues as many signals as it can leaves half of the limit to root of the host', async () => {
  await using sandbox = await pause(bench, await bench.start(), 0);
  const queue = `
import ctypes, os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN])
queued = 0
while queued < 1_000_000 and ctypes.CDLL(None).sigqueue(os.getpid(), int(signal.SIGRTMIN), 0) == 0: queued += 1
print(queued, flush=True)`;
  const hostLimit = Number(/^Max pending signals +(\d+)/m.exec(await readFile('/proc/self/limits', 'latin1'))?.[1]);
  // The process keeps its queued signals until it ends.
  await sandbox.sh(`cat > /queue.py << 'END'\n${queue}\nsignal.pause()\nEND`);
  await sandbox.sh('setsid python3 /queue.py > /queued 2>&1 & until [ -s /queued ]; do sleep 0.05; done');
  const queued = Number((await sandbox.sh('cat /queued')).stdout);
  expect(queued).toBeGreaterThan(1_000);
  expect(queued).toBeLessThanOrEqual(hostLimit / 2);
  const script = queue.replace('1_000_000', '1_000');
  expect(Number(await run('python3', ['-c', script]))).toBe(1_000);
});

const threads = (count: number): string =>
  `import os, signal, threading, time\nfor _ in range(${count}): threading.Thread(target=time.sleep, args=[600], daemon=True).start()`;

async function pidsOf(sandboxId: string, program: string): Promise<number[]> {
  const pids = await listPids(tools.cgroups.freezerOf(cgroupOf(testInstance, sandboxId)));
  const isProgram = async (pid: number): Promise<boolean> =>
    (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).includes(program);
  const found = await Promise.all(pids.map(async (pid) => ((await isProgram(pid)) ? [pid] : [])));
  return found.flat();
}

test('a program that is killed while its sandbox is frozen is gone before the save', async () => {
  await using source = await bench.start();
  await python(source, threads(3));
  await driver.freeze(source.instance);
  killPids(await pidsOf(source.spec.sandboxId, 'program.py'));
  await using sandbox = await pause(bench, source, 0);
  expect((await sandbox.sh('pgrep -c -r R,S,D python3; true')).stdout).toBe('0\n');
});

test('a sandbox is saved and restored while programs with threads are killed in it all the time', async () => {
  await using sandbox = await bench.start();
  const kill = `
while True:
  child = os.fork()
  if child == 0:
    ${threads(20).replace('\n', '\n    ')}
    time.sleep(600)
  time.sleep(0.02)
  os.kill(child, signal.SIGKILL)
  os.waitpid(child, 0)`;
  await sandbox.sh(`cat > /kill.py << 'END'\nimport os, signal, time${kill}\nEND`);
  await sandbox.sh('for i in 1 2 3; do setsid python3 /kill.py > /kill.log 2>&1 & done');
  let current: TestSandbox = sandbox;
  for (let round = 0; round < 8; round++) current = await pause(bench, current, 0);
  expect((await current.sh('cat /kill.log; pgrep -fc kill.py')).stdout).toMatch(/^[3-9]\n$/);
});

test('a program whose main thread has ended makes the checkpoint fail with that as its reason', async () => {
  await using sandbox = await bench.start();
  await python(sandbox, `${threads(1)}\nopen("/ready", "w"); import ctypes; ctypes.CDLL(None).pthread_exit(None)`);
  // Loading ctypes takes a while.
  await sandbox.sh('until grep -qs "(python3) Z" /proc/[0-9]*/stat; do sleep 0.05; done');
  await expect(stopAndSave(bench, sandbox.instance)).rejects.toMatchObject({
    message: 'The sandbox could not be saved: the main thread of a program has ended, and others go on.',
  });
  await driver.thaw(sandbox.instance);
});

test('a program that asks for multipath TCP falls back to a socket that can be saved', async () => {
  await using sandbox = await bench.start();
  const script = 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)';
  expect((await sandbox.sh(`python3 -c '${script}'`)).stderr).toContain('Protocol not supported');
});

test('an incomplete saved user namespace fails the restore', async () => {
  await using source = await bench.start();
  const { directory } = await stopAndSave(bench, source.instance);
  const name = (await readdir(directory)).find((file) => file.startsWith('userns-')) ?? '';
  await writeFile(join(directory, name), '');
  const spec = await bench.createSpec();
  await expect(driver.restore(spec, savedMemory(directory))).rejects.toMatchObject({ reason: 'state_damaged' });
  await expectGone(spec);
});

test('a checkpoint is closed to all users but root of the host, and contains no log', async () => {
  await using source = await bench.start();
  const { directory } = await stopAndSave(bench, source.instance);
  const files = await run('find', [directory, '-type', 'f', '!', '(', '-user', '0', '-group', '0', ')']);
  expect(files).toBe('');
  expect((await readdir(directory)).filter((name) => !name.endsWith('.img'))).toEqual([]);
});

test('without CRIU nothing is saved, and the driver reports that', async () => {
  const bare = createContainerDriver({ logger: silentLogger, instance: testInstance });
  expect(bare.capabilities.checkpoint).toBe(false);
  await using sandbox = await bench.start();
  await expect(bare.checkpoint(sandbox.instance, '/proc/nowhere')).rejects.toMatchObject({
    reason: 'capability_missing',
  });
  await expect(bare.restore(sandbox.spec, savedMemory('/proc/nowhere'))).rejects.toBeInstanceOf(SoulBoxError);
  expect(driver.isAlive(sandbox.instance)).toBe(true);
});

/** As after a kill -9 in the middle: the folder that marks CRIU as possibly running still exists. */
async function mkdirOfTools({ spec, instance }: TestSandbox): Promise<void> {
  await driver.freeze(instance);
  await run('mkdir', [layoutOf(testInstance, spec.sandboxId, spec.directory).criu]);
  expect(await readFile(layoutOf(testInstance, spec.sandboxId, spec.directory).record, 'utf8')).toContain('running');
}

async function restoreInOtherProcess(spec: SandboxSpec, memory: SavedMemory, delayMs: number): Promise<void> {
  const server = spawn(process.execPath, [startProgram, JSON.stringify(spec), JSON.stringify(memory)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
  await new Promise<void>((resolve) => server.stdout.once('data', () => resolve()));
  await sleep(delayMs);
  server.kill('SIGKILL');
  await ended;
}
