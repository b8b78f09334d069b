import { readFileSync } from 'node:fs';
import { Sandbox } from 'e2b';
import { describe, expect, onTestFinished, test } from 'vitest';
import { needs } from '../harness/needs.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { hasTemplate } from '../harness/template.ts';
import { until } from '../harness/until.ts';

needs('checkpoint');

// One test for each hazard that docs/fork.md lists; it names them by these titles, less what `each` appends.

async function forkTwice(source: Sandbox): Promise<readonly Sandbox[]> {
  const results = await source.fork({ count: 2, timeoutMs: 120_000 });
  const copies = results.filter((result) => result instanceof Sandbox);
  onTestFinished(async () => {
    await Promise.all(copies.map(async (copy) => await copy.kill()));
  });
  expect(copies).toHaveLength(2);
  return copies;
}

async function sh(sandbox: Sandbox, line: string, user = 'user'): Promise<string> {
  return (await sandbox.commands.run(line, { user })).stdout.trim();
}

async function startProgram(sandbox: Sandbox, command: string, envs: Record<string, string> = {}): Promise<void> {
  const handle = await sandbox.commands.run(command, { background: true, timeoutMs: 0, envs });
  await handle.disconnect();
}

async function readWhenThere(sandbox: Sandbox, path: string): Promise<string> {
  return await until(path, async () => (await sh(sandbox, `cat ${path} 2>/dev/null || true`)) || undefined);
}

/** Makes a program that waits for /tmp/go draw a number in each sandbox, and returns what each one wrote. */
async function drawInEach(sandboxes: readonly Sandbox[]): Promise<Record<string, string>[]> {
  return await Promise.all(
    sandboxes.map(async (sandbox) => {
      await sandbox.files.write('/tmp/go', '');
      return JSON.parse(await readWhenThere(sandbox, '/tmp/drawn')) as Record<string, string>;
    }),
  );
}

function differing(drawn: readonly Record<string, string>[]): string[] {
  const names = Object.keys(drawn[0] ?? {});
  return names.filter((name) => new Set(drawn.map((one) => one[name])).size === drawn.length).toSorted();
}

const nodeProgram = `
const crypto = require('crypto'); const fs = require('fs');
const draw = () => ({ bytes: crypto.randomBytes(8).toString('hex'), uuid: crypto.randomUUID(), math: String(Math.random()),
  web: Buffer.from(crypto.webcrypto.getRandomValues(new Uint8Array(8))).toString('hex'), int: String(crypto.randomInt(2 ** 40)),
  key: crypto.generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'der' }).toString('hex') });
draw(); fs.writeFileSync('/tmp/ready', 'yes');
setInterval(() => { if (!fs.existsSync('/tmp/go')) return;
  fs.writeFileSync('/tmp/drawn.new', JSON.stringify(draw())); fs.renameSync('/tmp/drawn.new', '/tmp/drawn'); process.exit(); }, 50);`;

const pythonProgram = `
import json, os, random, ssl, time, uuid
def draw(): return {'random': str(random.random()), 'openssl': ssl.RAND_bytes(8).hex(), 'kernel': os.urandom(8).hex(), 'uuid': str(uuid.uuid4())}
draw(); open('/tmp/ready', 'w').write('yes')
while not os.path.exists('/tmp/go'): time.sleep(0.05)
open('/tmp/drawn.new', 'w').write(json.dumps(draw())); os.rename('/tmp/drawn.new', '/tmp/drawn')`;

test.each([
  ['Node', 'node draw', nodeProgram, ['bytes', 'int', 'math', 'uuid', 'web']],
  ['Python', 'python3 draw', pythonProgram, ['kernel', 'openssl', 'random', 'uuid']],
])(
  'with the preload, running programs of copies draw different numbers: %s',
  async (_name, command, text, expected) => {
    const source = await createSandbox();
    await source.files.write('draw', text);
    const envs = { NODE_OPTIONS: '--require=/.soulbox/reseed/node.cjs', PYTHONPATH: '/.soulbox/reseed/python' };
    await startProgram(source, command, envs);
    await readWhenThere(source, '/tmp/ready');
    expect(differing(await drawInEach(await forkTwice(source)))).toEqual(expected);
  },
);

test.each([
  ['Node', 'node draw', nodeProgram, []],
  ['Python', 'python3 draw', pythonProgram, ['kernel', 'uuid']],
])('without it they draw the same, but what they ask of the kernel: %s', async (_name, command, text, expected) => {
  const source = await createSandbox();
  await source.files.write('draw', text);
  await startProgram(source, command);
  await readWhenThere(source, '/tmp/ready');
  expect(differing(await drawInEach(await forkTwice(source)))).toEqual(expected);
});

/** OpenSSL as C programs use it: in memory, whatever Python does around it. */
const opensslProgram = `
import ctypes, glob, json, os, time
ssl = ctypes.CDLL(sorted(glob.glob('/usr/lib/*/libcrypto.so.3'))[0])
def bytes_():
    buffer = ctypes.create_string_buffer(8)
    assert ssl.RAND_bytes(buffer, 8) == 1
    return buffer.raw.hex()
def draw():
    drawn = {'bytes': bytes_()}
    ssl.RAND_poll()
    drawn['polled'] = bytes_()
    return drawn
bytes_(); open('/tmp/ready', 'w').write('yes')
while not os.path.exists('/tmp/go'): time.sleep(0.05)
open('/tmp/drawn.new', 'w').write(json.dumps(draw())); os.rename('/tmp/drawn.new', '/tmp/drawn')`;

test('OpenSSL in a program of another language draws the same, until it asks the kernel', async () => {
  const source = await createSandbox();
  await source.files.write('draw', opensslProgram);
  await startProgram(source, 'python3 draw');
  await readWhenThere(source, '/tmp/ready');
  expect(differing(await drawInEach(await forkTwice(source)))).toEqual(['polled']);
});

const goProgram = `package main

import ("crypto/rand"; "encoding/hex"; "encoding/json"; mrand "math/rand"; "os"; "strconv"; "time")

func draw() map[string]string {
\tb := make([]byte, 8)
\trand.Read(b)
\treturn map[string]string{"kernel": hex.EncodeToString(b), "math": strconv.FormatInt(seeded.Int63(), 10)}
}

// The seed is unknown, as the seed that math/rand chooses when it starts.
var seeded = mrand.New(mrand.NewSource(time.Now().UnixNano()))

func main() {
\tdraw()
\tos.WriteFile("/tmp/ready", []byte("yes"), 0644)
\tfor { if _, err := os.Stat("/tmp/go"); err == nil { break }; time.Sleep(50 * time.Millisecond) }
\ttext, _ := json.Marshal(draw())
\tos.WriteFile("/tmp/drawn.new", text, 0644)
\tos.Rename("/tmp/drawn.new", "/tmp/drawn")
}
`;

const bunProgram = `
import crypto from 'node:crypto'; import fs from 'node:fs';
const draw = () => ({ bytes: crypto.randomBytes(8).toString('hex'), uuid: crypto.randomUUID(), math: String(Math.random()),
  web: Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(8))).toString('hex'), int: String(crypto.randomInt(2 ** 40)),
  key: crypto.generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }).toString('hex') });
draw(); fs.writeFileSync('/tmp/ready', 'yes');
setInterval(() => { if (!fs.existsSync('/tmp/go')) return;
  fs.writeFileSync('/tmp/drawn.new', JSON.stringify(draw())); fs.renameSync('/tmp/drawn.new', '/tmp/drawn'); process.exit(); }, 50);`;

/** BoringSSL, which Bun uses, mixes in RDRAND on Intel processors only (crypto/fipsmodule/rand: have_fast_rdrand). */
const asksTheProcessor = readFileSync('/proc/cpuinfo', 'latin1').includes('GenuineIntel');

describe.skipIf(!(await hasTemplate('runtimes')))('random state of other runtimes, as docs/fork.md has it', () => {
  test.each([
    ['Bun', 'draw.mjs', bunProgram, 'true', 'bun draw.mjs', asksTheProcessor ? ['bytes', 'key'] : []],
    ['Go', 'draw.go', goProgram, 'go build -o drawer draw.go', './drawer', ['kernel']],
  ])('%s', { timeout: 240_000 }, async (_name, file, text, build, command, expected) => {
    const source = await Sandbox.create('runtimes', { timeoutMs: 300_000 });
    onTestFinished(async () => {
      await source.kill();
    });
    await source.files.write(file, text);
    await source.commands.run(build, { timeoutMs: 180_000 });
    await startProgram(source, command);
    await readWhenThere(source, '/tmp/ready');
    expect(differing(await drawInEach(await forkTwice(source)))).toEqual(expected);
  });
});

test('processes that start in a copy draw their own numbers', async () => {
  const copies = await forkTwice(await createSandbox());
  for (const line of [
    `node -p 'crypto.randomBytes(8).toString("hex")'`,
    `python3 -c 'import random; print(random.random())'`,
    'openssl rand -hex 8 || cat /proc/sys/kernel/random/uuid',
  ]) {
    const drawn = await Promise.all(copies.map(async (copy) => await sh(copy, line)));
    expect(new Set(drawn).size).toBe(copies.length);
  }
});

test("envd's own ids differ in copies", async () => {
  const [one, two] = await forkTwice(await createSandbox());
  const watcherOf = async (sandbox: Sandbox | undefined): Promise<string> => {
    if (sandbox === undefined) throw new Error('no copy');
    const response = await fetch(`${process.env['E2B_SANDBOX_URL'] ?? ''}/filesystem.Filesystem/CreateWatcher`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'E2b-Sandbox-Id': sandbox.sandboxId,
        'E2b-Sandbox-Port': '49983',
        'X-Access-Token': (sandbox as unknown as { envdAccessToken?: string }).envdAccessToken ?? '',
      },
      body: '{"path":"/tmp"}',
    });
    return ((await response.json()) as { watcherId: string }).watcherId;
  };
  const ids = [await watcherOf(one), await watcherOf(two)];
  expect(ids[0]).toMatch(/^w/);
  expect(ids[0]).not.toBe(ids[1]);
});

test('the clock is right at once, and timers neither get lost nor fire in a burst', async () => {
  const source = await createSandbox();
  const ticks = `let last = performance.now(), ticks = 0, burst = 0;
setInterval(() => { const now = performance.now(); if (now - last < 20) burst += 1; last = now; ticks += 1;
  require('fs').writeFileSync('/tmp/ticks', JSON.stringify({ ticks, burst })); }, 100);`;
  await source.files.write('ticks.js', ticks);
  await startProgram(source, 'node ticks.js');
  await readWhenThere(source, '/tmp/ticks');
  for (const copy of await forkTwice(source)) {
    const before = Date.now();
    const inside = Number(await sh(copy, 'date +%s%3N'));
    expect(inside).toBeGreaterThan(before - 1000);
    expect(inside).toBeLessThan(Date.now() + 1000);
    const tickCount = async (): Promise<{ ticks: number; burst: number }> =>
      JSON.parse((await readWhenThere(copy, '/tmp/ticks')) || '{}') as { ticks: number; burst: number };
    const { ticks } = await tickCount();
    const later = await until('the timer', async () => {
      const now = await tickCount();
      return now.ticks > ticks + 3 ? now : undefined;
    });
    expect(later.burst).toBeLessThan(2);
  }
});

test('programs are told: the generation changes in place, and hooks run as root', async () => {
  const source = await createSandbox();
  await sh(
    source,
    `mkdir -p /etc/soulbox/resumed.d && printf '#!/bin/sh\\necho $SOULBOX_SANDBOX_ID $SOULBOX_GENERATION $SOULBOX_IS_COPY >>/tmp/hook\\n' \
>/etc/soulbox/resumed.d/10-tell && chmod 755 /etc/soulbox/resumed.d/10-tell`,
    'root',
  );
  await startProgram(
    source,
    `node -e 'const fs = require("fs"); const path = "/run/soulbox/generation";
fs.watch(path, () => fs.writeFileSync("/tmp/seen", fs.readFileSync(path))); fs.writeFileSync("/tmp/ready", "yes")'`,
  );
  await readWhenThere(source, '/tmp/ready');
  const before = await sh(source, 'cat /run/soulbox/generation');
  for (const copy of await forkTwice(source)) {
    const generation = await sh(copy, 'cat /run/soulbox/generation');
    expect(generation).not.toBe(before);
    expect(await sh(copy, 'cat /tmp/hook')).toBe(`${copy.sandboxId} ${generation} 1`);
    expect((await readWhenThere(copy, '/tmp/seen')).trim()).toBe(generation);
  }
});

test('a lock on a file and a pid file hold in each copy, and bind nobody else', async () => {
  const source = await createSandbox();
  await startProgram(source, `sh -c 'echo $$ >/tmp/app.pid; exec flock /tmp/lock sleep 600'`);
  await readWhenThere(source, '/tmp/app.pid');
  await until('the lock', async () => (await sh(source, 'flock -n /tmp/lock true; echo $?')) === '1');
  const copies = await forkTwice(source);
  for (const copy of copies) {
    expect(await sh(copy, 'flock -n /tmp/lock true; echo $?')).toBe('1');
    expect(await sh(copy, 'kill -0 $(cat /tmp/app.pid) && cat /proc/$(cat /tmp/app.pid)/comm')).toBe('flock');
  }
  const [first] = copies;
  await sh(first ?? source, 'pkill -f "[s]leep 600"; sleep 0.2');
  expect(await sh(first ?? source, 'flock -n /tmp/lock true; echo $?')).toBe('0');
  expect(await sh(copies[1] ?? source, 'flock -n /tmp/lock true; echo $?')).toBe('1');
});

test('the host name is new for those who ask, and old in programs that remember it', async () => {
  const source = await createSandbox();
  const old = await sh(source, 'hostname');
  const program = `import socket, os, time
name = socket.gethostname()
open('/tmp/ready', 'w').write('yes')
while not os.path.exists('/tmp/go'): time.sleep(0.05)
open('/tmp/names', 'w').write(name + ' ' + socket.gethostname())`;
  await source.files.write('name.py', program);
  await startProgram(source, 'python3 name.py');
  await readWhenThere(source, '/tmp/ready');
  for (const copy of await forkTwice(source)) {
    await copy.files.write('/tmp/go', '');
    const own = await sh(copy, 'hostname');
    expect(own).not.toBe(old);
    expect(await readWhenThere(copy, '/tmp/names')).toBe(`${old} ${own}`);
  }
});

test('listening sockets and kept connections inside go on, each copy for itself', async () => {
  const source = await createSandbox();
  await source.files.write(
    'server.js',
    `const http = require('http'); let count = 0;
http.createServer((request, response) => response.end(String(count += 1))).listen(8100, '127.0.0.1', () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  setInterval(() => http.get({ port: 8100, host: '127.0.0.1', agent }, (answer) => {
    answer.resume(); require('fs').writeFileSync('/tmp/kept', String(agent.totalSocketCount)); })
    .on('error', (error) => require('fs').appendFileSync('/tmp/broken', error.code)), 50);
});`,
  );
  await startProgram(source, 'node server.js');
  await readWhenThere(source, '/tmp/kept');
  for (const copy of await forkTwice(source)) {
    await sh(copy, 'rm /tmp/kept');
    expect(await readWhenThere(copy, '/tmp/kept')).toBe('1');
    expect(await sh(copy, 'cat /tmp/broken 2>/dev/null || true')).toBe('');
    const ask = `node -e 'require("http").get("http://127.0.0.1:8100", (a) => a.on("data", (d) => console.log(String(d))))'`;
    expect(Number(await sh(copy, ask))).toBeGreaterThan(0);
  }
});
