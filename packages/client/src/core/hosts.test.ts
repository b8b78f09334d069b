import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { createEvents } from './events.ts';
import type { ClientEvent } from './events.ts';
import { createHosts } from './hosts.ts';
import { createHttpCalls } from './http-calls.ts';
import { createTarget } from './target.ts';

const call = { method: 'GET', url: 'http://x/a', redirect: 'error' } as const;

test('all clients of a host share its slots, streams have their own, and a wait is told to the one that waits', async () => {
  const hostOf = createHosts({ callsMax: 1, streamsMax: 1 });
  const pending: ((response: Response) => void)[] = [];
  const send = async (): Promise<Response> => await new Promise((resolve) => pending.push(resolve));
  const clientWith = (seen: ClientEvent[]) => {
    const events = createEvents();
    events.on((event) => seen.push(event));
    const { slots, streamSlots } = hostOf('http://x');
    const target = createTarget({ name: 'x', events });
    return createHttpCalls({ target, slots, streamSlots, fetch: send, acceptsAnyStatus: true });
  };
  const [one, two]: [ClientEvent[], ClientEvent[]] = [[], []];
  const first = clientWith(one).call(call);
  const second = clientWith(two).call(call);
  const stream = clientWith(one).open(call);
  await expect.poll(() => pending.length).toBe(2);
  expect([one, two]).toEqual([[], [{ target: 'x', type: 'wait', waiting: 1 }]]);
  for (const answer of pending.splice(0)) answer(new Response('ok'));
  await expect.poll(() => pending.length).toBe(1);
  pending[0]?.(new Response('later'));
  expect([(await first).text, (await second).text]).toEqual(['ok', 'later']);
  expect(hostOf('http://x').streamSlots.used).toBe(1);
  expect(await (await stream).text()).toBe('ok');
  expect(hostOf('http://x').streamSlots.used).toBe(0);
});

test('a part of a host has one breaker, and hosts that are not in use are forgotten', () => {
  const hostOf = createHosts({ callsMax: 1, streamsMax: 1, breaker: { failures: 1 } });
  const api = hostOf('http://x').breakerOf('api');
  api.admit().fail();
  expect(hostOf('http://x').breakerOf('api')).toBe(api);
  expect(hostOf('http://x').breakerOf('sandboxes').state).toBe('closed');
  const idle = hostOf('http://idle');
  for (let n = 0; n < 1000; n++) hostOf(`http://${n}`);
  expect(hostOf('http://x').breakerOf('api')).toBe(api);
  expect(hostOf('http://idle')).not.toBe(idle);
});

test('a response that nobody reads gives its slot back', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { slots } = createHosts({ callsMax: 1, streamsMax: 1 })('http://x');
  const target = createTarget({ name: 'x' });
  let isGivenUp = false;
  const source = { pull: () => undefined, cancel: () => void (isGivenUp = true) };
  const send = async (): Promise<Response> => await Promise.resolve(new Response(new ReadableStream(source)));
  await createHttpCalls({ target, slots, fetch: send, acceptsAnyStatus: true }).open(call);
  expect(slots.used).toBe(1);
  for (let n = 0; slots.used > 0 && n < 100; n++) {
    collect();
    await sleep(5);
  }
  expect([slots.used, isGivenUp]).toEqual([0, true]);
});
