import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { listHostTraces, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox, Template } from 'e2b';
import type { LogEntry } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const instance = ownInstance();
let server: ServerProcess;

/** This file has its own server, because the test kills it. */
const connection = () => ({
  apiUrl: server.clientEnvironment['E2B_API_URL'] ?? '',
  sandboxUrl: server.clientEnvironment['E2B_SANDBOX_URL'] ?? '',
  apiKey: server.clientEnvironment['E2B_API_KEY'] ?? '',
});

beforeAll(async () => {
  server = await startServer({ instance, poolSize: 0, environment: { SOULBOX_ISOLATION: shared.isolation } });
});
afterAll(async () => {
  await server.stop();
  expect(await listHostTraces(instance, server.dataDirectory)).toEqual([]);
  await removeTree(server.dataDirectory);
});

test('a build fails when the server is killed, and the next one takes its finished steps from the cache', async () => {
  const word = Math.random().toString(36).slice(2);
  const begun = () => Template().fromBaseImage().runCmd(`echo ${word} > /opt/first`, { user: 'root' });
  // An entry is written as a temporary file first. A retry of this test finds the entries of the first attempt.
  const cachedSteps = async (): Promise<number> =>
    (await readdir(join(server.dataDirectory, 'build-cache'))).filter((name) => name.endsWith('.json')).length;
  const cachedBefore = await cachedSteps();
  const build = await Template.buildInBackground(begun().runCmd('sleep 60'), 'mine', connection());
  await until(
    'it is at its second step, and its first is cached',
    async () => {
      const { logEntries } = await Template.getBuildStatus(build, connection());
      return (await cachedSteps()) > cachedBefore && logEntries.some(({ message }) => message.includes('sleep 60'));
    },
    30_000,
  );
  await server.kill9();
  await server.restart();
  const after = await Template.getBuildStatus(build, connection());
  expect(after).toMatchObject({
    status: 'error',
    reason: { message: expect.stringMatching(/server stopped/) as string },
  });

  const lines: string[] = [];
  const onBuildLogs = ({ message }: LogEntry): void => void lines.push(message);
  await Template.build(begun().runCmd('echo second'), 'mine', { ...connection(), onBuildLogs });
  expect(lines.filter((line) => line.includes('CACHED'))).toHaveLength(1);
  const sandbox = await Sandbox.create('mine', connection());
  expect((await sandbox.commands.run('cat /opt/first')).stdout).toBe(`${word}\n`);
  await sandbox.kill();
});
