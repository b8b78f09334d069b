import { create } from '@bufbuild/protobuf';
import { silentLogger } from '@soulbox/base';
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
  const headersFor = async (name: string) =>
    (await headersOfRule(findHostRule(sandbox, name), { sandbox, scheme: 'https', values })).headers;
  return { asked, now, headersFor, [Symbol.dispose]: () => values[Symbol.dispose]() };
}

// Each question is a record in the audit log of the team, which has a limit.
test('a program that invents names below a wildcard does not cause a question for each', async () => {
  using world = createWorld(async () => await Promise.resolve({ 'e2b.secrets.key': 'v' }));
  for (let n = 0; n < 50; n += 1) expect(await world.headersFor(`n${n}.example.com`)).toEqual(['x-key', 'v']);
  expect(world.asked).toMatchObject([{ host: '*.example.com' }]);
  world.now.value += 5000;
  await world.headersFor('n.example.com');
  expect(world.asked).toHaveLength(2);
});

test('a question that fails is not repeated with each request, but after a second', async () => {
  let isMissing = true;
  using world = createWorld(async () => {
    if (isMissing) throw new Error('no such secret');
    return await Promise.resolve({ 'e2b.secrets.key': 'v' });
  });
  for (let n = 0; n < 50; n += 1)
    await expect(world.headersFor('a.example.com')).rejects.toMatchObject({ reason: 'placeholder_failed' });
  expect(world.asked).toHaveLength(1);
  isMissing = false;
  world.now.value += 1000;
  expect(await world.headersFor('a.example.com')).toEqual(['x-key', 'v']);
  world.now.value += 4000;
  expect(await world.headersFor('a.example.com')).toEqual(['x-key', 'v']);
  expect(world.asked).toHaveLength(2);
});
