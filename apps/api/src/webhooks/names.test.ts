// Tests names with several addresses. DNS is faked because it is a remote service.
import type { LookupAddress } from 'node:dns';
import { beforeEach, expect, it, vi } from 'vitest';
import { createOutsidePolicy } from '@soulbox/network/outside';
import { createTargetPolicy } from './target.ts';

const answers: LookupAddress[] = [];
vi.mock('node:dns', async (original) => ({
  ...(await original<object>()),
  lookup: (_name: string, _options: object, done: (error: null, addresses: LookupAddress[]) => void) =>
    done(null, [...answers]),
}));

beforeEach(() => void answers.splice(0));

const publicOne = { address: '8.8.8.8', family: 4 };
const publicTwo = { address: '2606:4700::1111', family: 6 };
const privateOne = { address: '10.0.0.1', family: 4 };

/** The addresses of a connection, or the text of the error. */
async function resolve(hostname: string, all: boolean, allowed: readonly string[] = []): Promise<unknown> {
  return await new Promise((done) => {
    createTargetPolicy(allowed, createOutsidePolicy()).lookup(hostname, { all }, (error, address) =>
      done(error?.message ?? address),
    );
  });
}

it.each([
  ['first', [privateOne, publicOne]],
  ['last', [publicOne, publicTwo, privateOne]],
  ['in the middle', [publicOne, privateOne, publicTwo]],
])('a name with a private address (%s) is refused completely', async (_, addresses) => {
  answers.push(...addresses);
  for (const all of [true, false]) expect(await resolve('hooks.test', all)).toMatch(/private, local or reserved/);
});

it('a name with only public addresses gives the addresses that were checked', async () => {
  answers.push(publicOne, publicTwo);
  expect(await resolve('hooks.test', true)).toEqual([publicOne, publicTwo]);
  expect(await resolve('hooks.test', false)).toBe('8.8.8.8');
});

it('a name without any address is refused', async () => {
  for (const all of [true, false]) expect(await resolve('hooks.test', all)).toMatch(/private, local or reserved/);
});

it('private addresses that the configuration allows may be mixed with public ones', async () => {
  answers.push(publicOne, privateOne);
  expect(await resolve('hooks.test', true, ['10.0.0.0/8'])).toEqual([publicOne, privateOne]);
  expect(await resolve('hooks.test', true, ['hooks.test'])).toEqual([publicOne, privateOne]);
  expect(await resolve('hooks.test', true, ['10.1.0.0/16', 'other.test'])).toMatch(/private/);
});
