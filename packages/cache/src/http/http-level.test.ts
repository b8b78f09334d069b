/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isThere } from '@soulbox/testing';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SlowLevelError } from '../level.ts';
import type { Level } from '../level.ts';
import { findFreePort, hasNginx, startNginx } from '../testing/index.ts';
import { parseHttpBase } from './http-base.ts';
import { openHttpLevel } from './http-level.ts';

const max = 1024 * 1024;
const limits = { firstMs: 200, silenceMs: 150, totalMs: 600 };
const { signal } = new AbortController();

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function openLevel(url: string): Level {
  const sign = async (key: string): Promise<string> =>
    await Promise.resolve(`https://store.example/bucket/${key}?signature=${Math.random()}`);
  const level = openHttpLevel({ base: parseHttpBase(url), sign, valueMaxBytes: max, limits });
  onTestFinished(() => level[Symbol.asyncDispose]());
  return level;
}

test('an object is read by its signed URL below the base', async () => {
  const paths: string[] = [];
  const value = randomBytes(max);
  const url = await serve(({ url: path = '' }, response) => {
    paths.push(path);
    response.end(value);
  });
  const level = openLevel(`${url}/cdn`);
  expect((await level.find('servers/x/data/a', signal))?.equals(value)).toBe(true);
  expect(paths).toEqual([expect.stringMatching(/^\/cdn\/bucket\/servers\/x\/data\/a\?signature=/)]);
});

test('an object that it does not have is not an error, because the store may have it', async () => {
  const level = openLevel(await serve((_request, response) => response.writeHead(404).end('no')));
  expect(await level.find('a', signal)).toBeUndefined();
});

test.each([
  ['500', 500],
  ['403', 403],
  ['a redirect', 302],
  ['a part', 206],
])('%s is an error', async (_what, status) => {
  const headers = { location: 'http://127.0.0.1:1/' };
  const level = openLevel(await serve((_request, response) => response.writeHead(status, headers).end('x')));
  await expect(level.find('a', signal)).rejects.toThrow(`It has answered with ${status}.`);
});

test.each<[string, RequestListener]>([
  ['has no end', (_request, response) => void response.writeHead(200, { 'content-length': 10 }).write('half')],
  ['never begins', () => undefined],
  [
    'comes byte by byte',
    (_request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      const timer = setInterval(() => response.write('x'), 20);
      response.once('close', () => clearInterval(timer));
    },
  ],
])('an answer that %s costs the small limits', async (_what, listener) => {
  const level = openLevel(await serve(listener));
  const from = performance.now();
  await expect(level.find('a', signal)).rejects.toThrow(SlowLevelError);
  expect(performance.now() - from).toBeLessThan(900);
});

test.each<[string, RequestListener]>([
  ['too long', (_request, response) => response.end(Buffer.alloc(max + 1))],
  [
    'too long, without saying so',
    (_request, response) => {
      response.write(Buffer.alloc(max));
      response.end('x');
    },
  ],
  [
    'cut off',
    (_request, response) =>
      void response.writeHead(200, { 'content-length': 10 }).write('half', () => response.destroy()),
  ],
  ['compressed', (_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x')],
])('an answer that is %s is an error', async (_what, listener) => {
  const level = openLevel(await serve(listener));
  await expect(level.find('a', signal)).rejects.toThrow();
});

test('an object that was wrong is not read from it again', async () => {
  let asked = 0;
  const level = openLevel(
    await serve((_request, response) => {
      asked += 1;
      response.end('wrong');
    }),
  );
  await level.find('a', signal);
  await level.refuse('a');
  expect([await level.find('a', signal), asked]).toEqual([undefined, 1]);
});

test('a caller that leaves gets its reason', async () => {
  const level = openLevel(await serve(() => undefined));
  const leaving = new AbortController();
  const reading = level.find('a', leaving.signal);
  leaving.abort(new Error('enough'));
  await expect(reading).rejects.toThrow();
});

test('nobody at the address is an error at once', async () => {
  const level = openLevel(`http://127.0.0.1:${await findFreePort()}`);
  await expect(level.find('a', signal)).rejects.toThrow(/ECONNREFUSED/);
});

describe.skipIf(!isThere('nginx', hasNginx))('nginx', () => {
  test('it asks the store once for an object, whatever its signature, and serves it while the store is away', async () => {
    let asked = 0;
    let isAway = false;
    const value = randomBytes(500_000);
    const store = await serve((_request, response) => {
      asked += 1;
      if (isAway) response.writeHead(503).end();
      else response.end(value);
    });
    const nginx = await startNginx(store);
    onTestFinished(() => nginx[Symbol.asyncDispose]());
    const level = openLevel(nginx.url);
    for (let turn = 0; turn < 3; turn++) expect((await level.find('a', signal))?.equals(value)).toBe(true);
    expect(asked).toBe(1);
    isAway = true;
    expect((await level.find('a', signal))?.equals(value)).toBe(true);
    await expect(level.find('b', signal)).rejects.toThrow('503');
  });
});

test('an object that broke off is not read from it again', async () => {
  let asked = 0;
  const level = openLevel(
    await serve((_request, response) => {
      asked += 1;
      response.writeHead(200, { 'content-length': 10 }).write('half', () => response.destroy());
    }),
  );
  await expect(level.find('a', signal)).rejects.toThrow();
  expect([await level.find('a', signal), asked]).toEqual([undefined, 1]);
});
