import { rename } from 'node:fs/promises';
import { run } from '@soulbox/base';
import { listHostTraces } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { checkWorld, connectionOf, endWorld, fillWorld, makeWholeFolder, serve } from '../harness/drill.ts';
import type { World } from '../harness/drill.ts';

const [instance, otherInstance] = [10, 11];
let server: ServerProcess;
let world: World;

/** One folder. Each test moves it again, so each test starts with the result of the earlier moves. */
beforeAll(async () => {
  server = await serve(await makeWholeFolder(), instance);
  world = await fillWorld(connectionOf(server));
});
afterAll(async () => {
  await endWorld(server, world);
  expect(await listHostTraces(instance)).toEqual([]);
  expect(await listHostTraces(otherInstance)).toEqual([]);
});

async function checkAndPause(): Promise<void> {
  await checkWorld(world, connectionOf(server));
  await Sandbox.pause(world.paused, connectionOf(server));
}

const copy = async (from: string, to: string): Promise<void> => {
  await run('cp', ['-a', '--sparse=always', from, to], { timeoutMs: 300_000 });
  await run('rm', ['-rf', '--one-file-system', '--', from]);
};

test('a data folder that was moved on its file system is complete', { timeout: 180_000 }, async () => {
  await server.stop();
  const target = `${server.dataDirectory}-moved`;
  await rename(server.dataDirectory, target);
  server = await serve(target, instance);
  await checkAndPause();
});

test(
  'a data folder copied to another path is complete for another instance',
  { tags: ['long'], timeout: 180_000 },
  async () => {
    await server.stop();
    const target = `${server.dataDirectory}-copied`;
    await copy(server.dataDirectory, target);
    server = await serve(target, otherInstance);
    await checkAndPause();
  },
);

test('a data folder that was copied away and back is complete', { tags: ['long'], timeout: 180_000 }, async () => {
  await server.stop();
  const place = server.dataDirectory;
  await copy(place, `${place}-away`);
  await copy(`${place}-away`, place);
  server = await serve(place, otherInstance);
  await checkWorld(world, connectionOf(server));
});
