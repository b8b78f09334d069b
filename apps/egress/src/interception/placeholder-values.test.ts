import { create } from '@bufbuild/protobuf';
import { SoulBoxError } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import type { PlaceholderRequest } from '@soulbox/contract/egress-record-service';
import { SandboxPolicySchema } from '@soulbox/contract/egress';
import { expect, test } from 'vitest';
import { findHostRule, policedSandboxFromWire } from '../policies/policed-sandbox.ts';
import { createPlaceholderValues } from './placeholder-values.ts';
import { headersOfRule } from './rule-headers.ts';

const headers = { 'x-key': '${e2b.secrets.key}' };
const sandbox = policedSandboxFromWire(
  create(SandboxPolicySchema, {
    ...{ address: '10.0.0.1', sandboxId: 'i1', teamId: 't1' },
    policy: { rules: { '*.example.com': { headers, requests: [] } } },
  }),
);

function createWorld(answer: () => Promise<Record<string, string>>) {
  const asked: PlaceholderRequest[] = [];
  const now = { value: 0 };
  const ask = async (request: PlaceholderRequest): Promise<Record<string, string>> => {
    asked.push(request);
    return await answer();
  };
  const values = createPlaceholderValues(ask, { clock: { now: () => now.value }, logger: silentLogger });
  const open = new DisposableStack();
  /** A connection to a host. */
  const connect = (name: string) => {
    const own = open.use(values.open(name));
    return async () =>
      (await headersOfRule(findHostRule(sandbox, name), { sandbox, scheme: 'https', values: own })).headers;
  };
  return { asked, now, connect, [Symbol.dispose]: () => open[Symbol.dispose]() };
}

test('each connection asks for itself, with its own host, and its requests share the values for five seconds', async () => {
  using world = createWorld(async () => await Promise.resolve({ 'e2b.secrets.key': 'v' }));
  const first = world.connect('a.example.com');
  for (let n = 0; n < 50; n += 1) expect(await first()).toEqual(['x-key', 'v']);
  expect(world.asked).toMatchObject([{ name: 'a.example.com' }]);
  await world.connect('b.example.com')();
  await world.connect('a.example.com')();
  expect(world.asked.map(({ name }) => name)).toEqual(['a.example.com', 'b.example.com', 'a.example.com']);
  world.now.value += 5000;
  await first();
  expect(world.asked).toHaveLength(4);
});

test('a host that control refuses is refused with that reason, and the next connection asks again', async () => {
  let isRefused = true;
  using world = createWorld(async () => {
    if (isRefused) throw new SoulBoxError('secret_host_refused', 'not there');
    return await Promise.resolve({ 'e2b.secrets.key': 'v' });
  });
  await expect(world.connect('a.example.com')()).rejects.toMatchObject({ reason: 'secret_host_refused' });
  isRefused = false;
  expect(await world.connect('a.example.com')()).toEqual(['x-key', 'v']);
});

test('a question that fails is not repeated with each request of a connection, but after a second', async () => {
  let isMissing = true;
  using world = createWorld(async () => {
    if (isMissing) throw new Error('no such secret');
    return await Promise.resolve({ 'e2b.secrets.key': 'v' });
  });
  const request = world.connect('a.example.com');
  for (let n = 0; n < 50; n += 1) await expect(request()).rejects.toMatchObject({ reason: 'placeholder_failed' });
  expect(world.asked).toHaveLength(1);
  isMissing = false;
  world.now.value += 1000;
  expect(await request()).toEqual(['x-key', 'v']);
  world.now.value += 4000;
  expect(await request()).toEqual(['x-key', 'v']);
  expect(world.asked).toHaveLength(2);
});
