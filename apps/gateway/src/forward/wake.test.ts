import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { callFields, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ask, askHttp2, askRaw } from '../testing/http-client.ts';
import { at, sleeper, startSleeperWorld, token, wakeTimeoutMs } from '../testing/sleeper.ts';
import { startTestWorld } from '../testing/test-world.ts';
import type { TestWorld } from '../testing/test-world.ts';

let world: TestWorld;
beforeEach(async () => {
  world = await startSleeperWorld();
});
afterEach(async () => await world[Symbol.asyncDispose]());

describe('a request for a paused sandbox that resumes automatically', () => {
  test('waits for the wake and is served', async () => {
    world.router.pause(sleeper, { delayMs: 100 });
    const answer = await ask(world.url, { method: 'POST', headers: at(8080), body: 'hello' });
    expect([answer.status, answer.body]).toEqual([200, 'hello']);
    expect(world.router.wakes).toEqual([sleeper]);
  });

  test('passes the context of its trace on to the runner', async () => {
    const asked: Record<string, string>[] = [];
    const wake = world.router.wake.bind(world.router);
    world.router.wake = async (sandboxId) => {
      asked.push(callFields());
      await wake(sandboxId);
    };
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    for (const sent of [traceparent, `${traceparent}-x`, 'x'.repeat(5000)]) {
      world.router.pause(sleeper);
      const answer = await ask(world.url, {
        method: 'POST',
        headers: { ...at(8080), traceparent: sent },
        body: 'hello',
      });
      expect(answer.status).toBe(200);
    }
    expect(asked).toEqual([{ traceparent }, {}, {}]);
  });

  test('is also served over HTTP/2', async () => {
    world.router.pause(sleeper, { delayMs: 100 });
    const head = { ':path': '/', ':method': 'POST', ':authority': at(8080).host };
    expect(await askHttp2(world.url, head, { body: 'hello' })).toMatchObject({ status: 200, body: 'hello' });
  });

  test('may be an upgrade', async () => {
    const server = createServer().on('upgrade', (_request, socket, head: Buffer) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      socket.write(head);
      socket.pipe(socket);
    });
    await world.serveNet(9000, server, { sandboxId: sleeper });
    world.router.pause(sleeper, { delayMs: 100 });
    const head = `GET / HTTP/1.1\r\nHost: ${at(9000).host}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n`;
    const text = await askRaw(world.gateway.port, `${head}early`, 600);
    expect(text).toMatch(/^HTTP\/1.1 101 /);
    expect(text).toMatch(/early$/);
  });

  test('may be gRPC', async () => {
    const server = createHttp2Server().on('stream', (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
      stream.pipe(stream);
    });
    await world.serveNet(9001, server, { sandboxId: sleeper });
    world.router.pause(sleeper, { delayMs: 100 });
    const head = {
      ':path': '/a.B/C',
      ':method': 'POST',
      ':authority': at(9001).host,
      'content-type': 'application/grpc',
    };
    expect(await askHttp2(world.url, head, { body: 'frame' })).toMatchObject({ status: 200, body: 'frame' });
  });

  test('shares one wake with all concurrent requests', async () => {
    world.router.pause(sleeper, { delayMs: 200 });
    const bodies = Array.from({ length: 60 }, (_, index) => String(index));
    const answers = await Promise.all(
      bodies.map(async (body) => (await ask(world.url, { method: 'POST', headers: at(8080), body })).body),
    );
    expect(answers).toEqual(bodies);
    expect(world.router.wakes).toEqual([sleeper]);
  });

  test('uses fresh connections after each wake, never one from before', async () => {
    for (const expected of [1, 2, 3]) {
      world.router.pause(sleeper);
      expect((await ask(`${world.url}/metrics`, { headers: { ...at(49983), ...token } })).status).toBe(200);
      expect((await ask(`${world.url}/metrics`, { headers: { ...at(49983), ...token } })).status).toBe(200);
      expect(world.router.dials.length).toBe(expected);
    }
  });

  test.each(['HTTP/1.1', 'HTTP/2'])(
    'keeps its body at the client during the wake and loses nothing, over %s',
    async (protocol) => {
      const body = Buffer.alloc(48 * 1024 * 1024, 'x');
      world.router.pause(sleeper, { delayMs: 500 });
      const upload = protocol === 'HTTP/2' ? uploadHttp2(body) : uploadHttp1(body);
      await delay(300);
      expect(world.router.dials).toEqual([]);
      // Less than the whole upload: only the kernel's buffers and the gateway's own.
      expect(upload.sentBytes()).toBeLessThan(24 * 1024 * 1024);
      expect(await upload.echoedBytes).toBe(body.length);
    },
  );
});

interface Upload {
  sentBytes(): number;
  readonly echoedBytes: Promise<number>;
}

async function countBytes(stream: AsyncIterable<Buffer>): Promise<number> {
  let count = 0;
  for await (const chunk of stream) count += chunk.length;
  return count;
}

function uploadHttp1(body: Buffer): Upload {
  const socket = connect({ host: '127.0.0.1', port: world.gateway.port });
  const outgoing = request({ createConnection: () => socket, method: 'POST', headers: at(8080) });
  outgoing.end(body);
  const echoedBytes = once(outgoing, 'response').then(async ([incoming]) => await countBytes(incoming as never));
  return { sentBytes: () => socket.bytesWritten - socket.writableLength, echoedBytes };
}

function uploadHttp2(body: Buffer): Upload {
  // Node's client counts the data that it still has to send.
  const session = connectHttp2(world.url, { maxSessionMemory: 256 });
  const stream = session.request({ ':path': '/', ':method': 'POST', ':authority': at(8080).host });
  stream.end(body);
  const echoedBytes = countBytes(stream).finally(() => session.destroy());
  return { sentBytes: () => session.socket.bytesWritten - session.socket.writableLength, echoedBytes };
}

describe('a failed wake', () => {
  const failures: [Reason, number][] = [
    ['sandbox_resume_failed', 503],
    ['runner_unavailable', 503],
    ['disk_full', 507],
    ['state_damaged', 502],
    ['state_incompatible', 409],
    ['illegal_transition', 409],
    ['too_many_sandboxes', 429],
    ['sandbox_not_found', 502],
  ];
  test.each(failures)('for %s is %i and gives the reason', async (reason, status) => {
    world.router.pause(sleeper, { failure: new SoulBoxError(reason, 'because of this') });
    const answer = await ask(world.url, { headers: at(8080) });
    expect(answer.status).toBe(status);
    const text = reason === 'sandbox_not_found' ? 'The sandbox was not found' : /: because of this$/;
    expect(JSON.parse(answer.body)).toEqual({
      sandboxId: sleeper,
      message: expect.stringMatching(text) as string,
      code: status,
    });
  });

  test('for an unknown reason is 502 without details', async () => {
    world.router.pause(sleeper, { failure: new Error('secret inside') });
    const answer = await ask(world.url, { headers: at(8080) });
    expect(answer.status).toBe(502);
    expect(answer.body).not.toContain('secret');
  });

  test('fails all waiting requests, and the next one tries again', async () => {
    world.router.pause(sleeper, { delayMs: 50, failure: new SoulBoxError('sandbox_resume_failed', 'no') });
    const answers = await Promise.all([1, 2, 3].map(async () => await ask(world.url, { headers: at(8080) })));
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
    await ask(world.url, { headers: at(8080) });
    expect(world.router.wakes).toEqual([sleeper, sleeper]);
  });

  test('sends its answer to a large upload, too', async () => {
    world.router.pause(sleeper, { delayMs: 50, failure: new SoulBoxError('state_damaged', 'no') });
    const body = Buffer.alloc(4 * 1024 * 1024);
    expect((await ask(world.url, { method: 'POST', headers: at(8080), body })).status).toBe(502);
  });
});

describe('while a request waits', () => {
  test('longer than the limit, it gets 503, and the wake continues for the next request', async () => {
    world.router.pause(sleeper, { delayMs: wakeTimeoutMs + 300 });
    const answer = await ask(world.url, { headers: at(8080) });
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toMatchObject({ sandboxId: sleeper, code: 503 });
    expect((await ask(`${world.url}/health`, { headers: at(8080) })).status).toBe(204);
    expect(world.router.wakes).toEqual([sleeper]);
  });

  test('its client may leave, and nothing is sent to the sandbox', async () => {
    world.router.pause(sleeper, { delayMs: 200 });
    const socket = connect({ host: '127.0.0.1', port: world.gateway.port });
    socket.write(`GET / HTTP/1.1\r\nHost: ${at(8080).host}\r\n\r\n`);
    await expect.poll(() => world.router.visits).toEqual([sleeper]);
    socket.destroy();
    await expect.poll(() => world.router.visits).toEqual([]);
    await delay(300);
    expect(world.router.dials).toEqual([]);
  });

  test('the sandbox may be killed: 502', async () => {
    world.router.pause(sleeper, { delayMs: 200 });
    const asked = ask(world.url, { headers: at(8080) });
    await expect.poll(() => world.router.wakes.length).toBe(1);
    world.router.kill(sleeper);
    const answer = await asked;
    expect(answer.status).toBe(502);
    expect(answer.body).toContain('The sandbox was not found');
  });

  test('it counts towards the limit of the sandbox', async () => {
    await using small = await startTestWorld({ config: { maxStreamsPerSandbox: 2 } });
    small.router.add(sleeper, { autoResume: true });
    small.router.pause(sleeper, { delayMs: 200 });
    const answers = await Promise.all([1, 2, 3].map(async () => await ask(small.url, { headers: at(8080) })));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([429, 502, 502]);
  });
});
