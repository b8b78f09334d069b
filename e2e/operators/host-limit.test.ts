// The limit of the host, which applies to all teams and to every way to start a sandbox.
import { Sandbox } from 'e2b';
import { removeTree } from '@soulbox/base';
import { startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from 'vitest';
import { ownInstance } from '../harness/own-instance.ts';

const limit = 3;
let server: ServerProcess;
let options: { apiKey: string; apiUrl: string; sandboxUrl: string };
let made: Sandbox[];

beforeAll(async () => {
  server = await startServer({
    instance: ownInstance(),
    poolSize: 1,
    environment: { SOULBOX_MAX_SANDBOXES: String(limit) },
  });
  const { E2B_API_KEY = '', E2B_API_URL = '', E2B_SANDBOX_URL = '' } = server.clientEnvironment;
  options = { apiKey: E2B_API_KEY, apiUrl: E2B_API_URL, sandboxUrl: E2B_SANDBOX_URL };
});
afterAll(async () => {
  await server.stop();
  await removeTree(server.dataDirectory);
});
beforeEach(() => {
  made = [];
});
afterEach(async () => {
  await Promise.all(made.map(async (sandbox) => await sandbox.kill()));
});

async function create(): Promise<Sandbox> {
  const sandbox = await Sandbox.create(options);
  made.push(sandbox);
  return sandbox;
}

const full = /limit of 3 sandboxes/;

test('a sandbox beyond the limit of the host is refused, however many requests arrive at once', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: limit + 3 }, create));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(limit);
  for (const outcome of outcomes) if (outcome.status === 'rejected') expect(String(outcome.reason)).toMatch(full);
  for (const sandbox of made) expect((await sandbox.commands.run('echo here')).stdout).toBe('here\n');
});

test('a place is free again when a sandbox ends or is paused, and a resume needs a place', async () => {
  const [first, second] = [await create(), await create(), await create()];
  await first.pause();
  const fourth = await create();
  await expect(Sandbox.connect(first.sandboxId, options)).rejects.toThrow(full);
  await second.kill();
  const woken = await Sandbox.connect(first.sandboxId, options);
  expect((await woken.commands.run('echo awake')).stdout).toBe('awake\n');
  expect(await fourth.isRunning()).toBe(true);
});

test('a fork needs places for all copies, otherwise it creates none', async () => {
  const source = await create();
  await expect(source.fork({ count: limit, timeoutMs: 60_000 })).rejects.toThrow(full);
  const copies = (await source.fork({ count: limit - 1, timeoutMs: 60_000 })).filter((one) => one instanceof Sandbox);
  made.push(...copies);
  expect(copies).toHaveLength(limit - 1);
});

test('a snapshot can be created on a full host, but not used there', async () => {
  const [source] = [await create(), await create(), await create()];
  const { snapshotId } = await source.createSnapshot();
  await expect(Sandbox.create(snapshotId, options)).rejects.toThrow(full);
  await source.kill();
  made.push(await Sandbox.create(snapshotId, options));
});
