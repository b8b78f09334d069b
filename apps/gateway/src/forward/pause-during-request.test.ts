import { once } from 'node:events';
import { request } from 'node:http';
import type { RequestListener } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ask } from '../testing/http-client.ts';
import { at, sleeper, startSleeperWorld, token } from '../testing/sleeper.ts';
import type { TestWorld } from '../testing/test-world.ts';

let world: TestWorld;
beforeEach(async () => {
  world = await startSleeperWorld();
});
afterEach(async () => await world[Symbol.asyncDispose]());

describe('the question whether a sandbox runs', () => {
  const isRunning = async (): Promise<boolean> => {
    const { status } = await ask(`${world.url}/health`, { headers: { ...at(49983), ...token } });
    expect([204, 502]).toContain(status);
    return status === 204;
  };

  test('does not count as use of a running sandbox', async () => {
    await world.serve(49983, () => undefined, { sandboxId: sleeper });
    const asked = ask(`${world.url}/health`, { headers: { ...at(49983), ...token } });
    await expect.poll(() => world.router.dials.length).toBe(1);
    expect(world.router.visits).toEqual([]);
    world.router.kill(sleeper);
    expect((await asked).status).toBe(502);
  });

  test('waits for a step that ends in a running sandbox, and wakes nothing', async () => {
    world.router.add('ibusy', { autoResume: true, comesBack: true });
    await world.serve(49983, (_request, response) => response.writeHead(204).end(), { sandboxId: 'ibusy' });
    world.router.pause('ibusy', { delayMs: 100 });
    expect((await ask(`${world.url}/health`, { headers: at(49983, 'ibusy') })).status).toBe(204);
    expect(world.router.wakes).toEqual([]);
  });

  test('is answered with no when the sandbox is paused meanwhile', async () => {
    await world.serve(49983, () => undefined, { sandboxId: sleeper });
    const answer = isRunning();
    await expect.poll(() => world.router.dials.length).toBe(1);
    await delay(50);
    world.router.pause(sleeper);
    expect(await answer).toBe(false);
    expect(world.router.wakes).toEqual([]);
  });
});

describe('a pause during a request', () => {
  beforeEach(async () => {
    let asked = 0;
    const answerSecond: RequestListener = (_request, response) => {
      asked += 1;
      if (asked > 1) response.end('second try');
    };
    await world.serve(9002, answerSecond, { sandboxId: sleeper });
  });

  test('makes the gateway repeat a request that can be repeated', async () => {
    const answer = ask(world.url, { headers: at(9002) });
    await expect.poll(() => world.router.dials.length).toBe(1);
    await delay(50);
    world.router.pause(sleeper);
    expect((await answer).body).toBe('second try');
  });

  test('is 502 for a request that cannot be repeated', async () => {
    const answer = ask(world.url, { method: 'POST', headers: at(9002), body: 'once' });
    await expect.poll(() => world.router.dials.length).toBe(1);
    await delay(50);
    world.router.pause(sleeper);
    expect((await answer).status).toBe(502);
    expect((await answer).body).toContain('paused');
    expect(world.router.wakes).toEqual([]);
  });
});

test('the router knows each request and stream from its beginning to its end', async () => {
  await world.serve(9003, (_request, response) => void response.write('begun'), { sandboxId: sleeper });
  const outgoing = request(world.url, { headers: at(9003) });
  outgoing.on('error', () => undefined);
  outgoing.end();
  const [incoming] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream];
  incoming.on('error', () => undefined);
  expect((await ask(`${world.url}/health`, { headers: at(8080) })).status).toBe(204);
  await expect.poll(() => world.router.visits).toEqual([sleeper]);
  outgoing.destroy();
  await expect.poll(() => world.router.visits).toEqual([]);
});
