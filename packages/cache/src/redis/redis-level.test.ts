/** @module-tag violation */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { isThere } from '@soulbox/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createFrequencySketch } from '../frequency-sketch.ts';
import { findFreePort, hasValkey, startRelay, startValkey } from '../testing/index.ts';
import type { Relay, TestValkey } from '../testing/index.ts';
import type { RedisCredentials } from './redis-connection.ts';
import { openRedisLevel } from './redis-level.ts';
import type { RedisLevel } from './redis-level.ts';

const max = 8 * 1024 * 1024 + 1024;
const limits = { connectMs: 500, silenceMs: 150, commandMs: 1000 };
/** For tests of something else than slowness: the machine may be busy. */
const patient = { connectMs: 5000, silenceMs: 5000, commandMs: 20_000 };
const { signal } = new AbortController();

async function valkey(flags: readonly string[] = [], port?: number): Promise<TestValkey> {
  const server = await startValkey(flags, port);
  onTestFinished(() => server[Symbol.asyncDispose]());
  return server;
}

/** A level whose second offer of a key is taken, because each offer counts as a use. */
function openLevel(
  port: number,
  more: { credentials?: () => Promise<RedisCredentials>; usesTls?: boolean; limits?: typeof limits } = {},
) {
  const uses = createFrequencySketch(64);
  const { credentials = async () => await Promise.resolve({}), usesTls = false } = more;
  const level = openRedisLevel({
    place: { host: '127.0.0.1', port, usesTls, database: 0 },
    ...{ credentials, valueMaxBytes: max, uses, limits: more.limits ?? patient },
  });
  onTestFinished(() => level[Symbol.asyncDispose]());
  return { level, uses };
}

/** Repeats until it works: connections are made in the background. */
async function eventually<T>(work: () => Promise<T>, isDone: (outcome: T) => boolean = () => true): Promise<T> {
  for (let turn = 0; ; turn++) {
    try {
      const outcome = await work();
      if (isDone(outcome)) return outcome;
      if (turn > 200) throw new Error(`It stays at ${String(outcome)}.`);
    } catch (error) {
      if (turn > 200) throw error;
    }
    await sleep(25);
  }
}

async function connected(level: RedisLevel): Promise<void> {
  await eventually(() => level.find('none', signal));
}

async function store(level: RedisLevel, uses: ReturnType<typeof openLevel>['uses'], key: string, value: Buffer) {
  uses.note(key);
  uses.note(key);
  await eventually(
    async () => {
      level.offer(key, value);
      await sleep(20);
      return await level.find(key, signal);
    },
    (found) => found !== undefined,
  );
}

/** How long `work` takes to fail. Milliseconds. */
async function failsWithin(work: Promise<unknown>): Promise<number> {
  const from = performance.now();
  await expect(work).rejects.toThrow();
  return performance.now() - from;
}

async function relayTo(port: number): Promise<Relay> {
  const relay = await startRelay(port);
  onTestFinished(() => relay[Symbol.asyncDispose]());
  return relay;
}

describe.skipIf(!isThere('valkey-server', hasValkey))('Valkey', () => {
  test.each([0, 1, 1024 * 1024, max])('a value of %s bytes comes back as it was', async (bytes) => {
    const { port } = await valkey();
    const { level, uses } = openLevel(port);
    const value = randomBytes(bytes);
    await connected(level);
    await store(level, uses, 'servers/a/data/é\r\n$1\r\n', value);
    expect((await level.find('servers/a/data/é\r\n$1\r\n', signal))?.equals(value)).toBe(true);
    await level.remove('servers/a/data/é\r\n$1\r\n');
    expect(await level.find('servers/a/data/é\r\n$1\r\n', signal)).toBeUndefined();
  });

  test('a value that only one process has read once is not taken; the second one, anywhere, brings it', async () => {
    const { port } = await valkey();
    const [one, other] = [openLevel(port), openLevel(port)];
    await connected(one.level);
    await connected(other.level);
    one.uses.note('a');
    one.level.offer('a', Buffer.from('value'));
    await sleep(100);
    expect(await one.level.find('a', signal)).toBeUndefined();
    other.uses.note('a');
    other.level.offer('a', Buffer.from('value'));
    expect(await eventually(() => one.level.find('a', signal), Boolean)).toEqual(Buffer.from('value'));
  });

  test('values leave it by their time to live', async () => {
    const { port } = await valkey();
    const uses = createFrequencySketch(64);
    const place = { host: '127.0.0.1', port, usesTls: false, database: 3 };
    const credentials = async (): Promise<RedisCredentials> => await Promise.resolve({});
    const level = openRedisLevel({ ...{ place, credentials, valueMaxBytes: max, uses, limits: patient, liveMs: 300 } });
    onTestFinished(() => level[Symbol.asyncDispose]());
    await connected(level);
    await store(level, uses, 'a', Buffer.from('value'));
    await sleep(400);
    expect(await level.find('a', signal)).toBeUndefined();
  });

  test('without a server every call fails at once, and works when it comes', async () => {
    const port = await findFreePort();
    const { level, uses } = openLevel(port);
    await sleep(50);
    expect(await failsWithin(level.find('a', signal))).toBeLessThan(130);
    await expect(level.remove('a')).rejects.toThrow();
    level.offer('a', Buffer.from('x'));
    await valkey([], port);
    await connected(level);
    await store(level, uses, 'a', Buffer.from('value'));
  });

  test('a server that is killed, and another one at its place', async () => {
    const server = await startValkey();
    const { level, uses } = openLevel(server.port);
    await connected(level);
    await store(level, uses, 'a', Buffer.from('value'));
    await server[Symbol.asyncDispose]();
    await eventually(
      async () => await level.find('a', signal).catch(() => 'away'),
      (found) => found === 'away',
    );
    expect(await failsWithin(level.find('a', signal))).toBeLessThan(130);
    await valkey([], server.port);
    await connected(level);
    expect(await level.find('a', signal)).toBeUndefined();
  });

  test('a server that is stopped in the middle costs the small limit, once', async () => {
    const server = await valkey();
    const { level } = openLevel(server.port, { limits });
    await connected(level);
    server.signal('SIGSTOP');
    const tookMs = await failsWithin(level.find('a', signal));
    expect(tookMs).toBeGreaterThan(100);
    expect(tookMs).toBeLessThan(400);
    expect(await failsWithin(level.find('a', signal))).toBeLessThan(130);
    server.signal('SIGCONT');
    await connected(level);
  });

  test('a server that sends a byte each second, or each 20 ms, costs the small limits', async () => {
    const { port } = await valkey();
    const relay = await relayTo(port);
    const { level, uses } = openLevel(relay.port, { limits });
    await connected(level);
    await store(level, uses, 'a', randomBytes(100_000));
    relay.use({ kind: 'drip', everyMs: 1000 });
    expect(await failsWithin(level.find('a', signal))).toBeLessThan(400);
    relay.use({ kind: 'pass' });
    await connected(level);
    relay.use({ kind: 'drip', everyMs: 20 });
    expect(await failsWithin(level.find('a', signal))).toBeLessThan(1400);
  });

  test.each([
    ['a value without end', '$999999999999\r\n'],
    ['another protocol', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['replies to nothing', '$-1\r\n'.repeat(100)],
    ['a number in place of a value', ':1\r\n'],
  ])('a server that sends %s is no longer asked on this connection', async (_what, text) => {
    const { port } = await valkey();
    const relay = await relayTo(port);
    const { level } = openLevel(relay.port);
    await connected(level);
    relay.use({ kind: 'say', text });
    const found = await level.find('a', signal).catch((error: unknown) => error);
    if (text.startsWith('$-1')) expect(found).toBeUndefined();
    else expect(found).toBeInstanceOf(Error);
    relay.use({ kind: 'pass' });
    await connected(level);
  });

  test('a server that is full refuses new values, keeps old ones, and answers', async () => {
    const { port } = await valkey(['--maxmemory', '12mb', '--maxmemory-policy', 'noeviction']);
    const { level, uses } = openLevel(port);
    await connected(level);
    const old = randomBytes(4 * 1024 * 1024);
    await store(level, uses, 'old', old);
    for (let at = 0; at < 4; at++) {
      uses.note(`new ${at}`);
      uses.note(`new ${at}`);
      level.offer(`new ${at}`, randomBytes(4 * 1024 * 1024));
      await sleep(100);
    }
    expect((await level.find('old', signal))?.equals(old)).toBe(true);
    expect(await level.find('new 3', signal)).toBeUndefined();
  });

  test('a server that makes room by itself keeps what is used', async () => {
    const { port } = await valkey(['--maxmemory', '24mb', '--maxmemory-policy', 'allkeys-lru']);
    const { level, uses } = openLevel(port);
    await connected(level);
    for (let at = 0; at < 8; at++) await store(level, uses, `new ${at}`, randomBytes(4 * 1024 * 1024));
    expect(await level.find('new 0', signal)).toBeUndefined();
    expect((await level.find('new 7', signal))?.length).toBe(4 * 1024 * 1024);
  });

  test('a wrong password fails, and rotated credentials are used without a restart', async () => {
    const { port } = await valkey(['--requirepass', 'right']);
    let password = 'wrong';
    const { level } = openLevel(port, { credentials: async () => await Promise.resolve({ password }) });
    await sleep(100);
    await expect(level.find('a', signal)).rejects.toThrow(/WRONGPASS|closed/);
    password = 'right';
    await connected(level);
  });

  test('a missing password fails, and a file that cannot be read does not end the process', async () => {
    const { port } = await valkey(['--requirepass', 'right']);
    const { level } = openLevel(port);
    await sleep(100);
    await expect(level.find('a', signal)).rejects.toThrow(/NOAUTH/);
    const { level: other } = openLevel(port, { credentials: async () => await Promise.reject(new Error('no file')) });
    await sleep(50);
    await expect(other.find('a', signal)).rejects.toThrow('no file');
  });

  test('TLS with an authority of its own; another one is refused', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'soulbox-redis-tls-'));
    onTestFinished(() => removeTree(folder));
    const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
    await promisify(execFile)('openssl', [...made, ...names, '-keyout', key, '-out', certificate]);
    const files = ['--tls-cert-file', certificate, '--tls-key-file', key, '--tls-ca-cert-file', certificate];
    const { port } = await valkey(['--tls-port', 'PORT', ...files, '--tls-auth-clients', 'no', '--requirepass', 'x']);
    const ca = await readFile(certificate, 'utf8');
    const trusted = openLevel(port, { usesTls: true, credentials: () => Promise.resolve({ password: 'x', ca }) });
    await connected(trusted.level);
    await store(trusted.level, trusted.uses, 'a', randomBytes(1_000_000));
    const other = openLevel(port, { usesTls: true, credentials: () => Promise.resolve({ password: 'x' }) });
    // Until the first attempt has failed, it says that there is no connection yet.
    const complaint = async (): Promise<unknown> => await other.level.find('a', signal).catch(String);
    await expect.poll(complaint).toMatch(/self-signed|certificate/);
  });
});
