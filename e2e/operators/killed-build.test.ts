import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { findServerPart, listHostTraces, listServerParts, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox, Template } from 'e2b';
import type { LogEntry } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectionOf } from '../harness/drill.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const instance = ownInstance();
const waitMs = 30_000;
let server: ServerProcess;

beforeAll(async () => {
  server = await startServer({ instance, poolSize: 0, environment: { SOULBOX_ISOLATION: shared.isolation } });
});
afterAll(async () => {
  await server.stop();
  expect(await listHostTraces(instance, server.dataDirectory)).toEqual([]);
  await removeTree(server.dataDirectory);
});

/** An entry is written as a temporary file first. */
const cachedSteps = async (): Promise<number> =>
  (await namesIn('build-cache')).filter((file) => file.endsWith('.json')).length;
const namesIn = async (folder: string): Promise<string[]> =>
  await readdir(join(server.dataDirectory, folder)).catch(() => []);

/** Traces of sandboxes on the host. The server's own processes and its packet filter are not counted. */
async function listStrays(): Promise<string[]> {
  const parts = listServerParts(server.pid).map(({ pid }) => `process ${pid} `);
  const traces = await listHostTraces(instance, server.dataDirectory);
  return traces.filter((line) => !line.startsWith('nft table') && !parts.some((part) => line.startsWith(part)));
}

/** The client's messages for 503, and for 502 when the killed process had already received the request. */
const unavailable = /^(Service temporarily unavailable|502)/;

test.each([
  ['control', 'The server stopped during this build. Build it again: finished steps are cached.'],
  ['runner', 'The runner stopped during this build. Build it again: finished steps are cached.'],
])('a build fails with a reason when %s is killed; the next one uses its finished steps', async (part, reason) => {
  const connection = connectionOf(server);
  const word = Math.random().toString(36).slice(2);
  const name = `killed-${part}-${word}`;
  const begun = () => Template().fromBaseImage().runCmd(`echo ${word} > /opt/first`, { user: 'root' });
  const cachedBefore = await cachedSteps();
  const build = await Template.buildInBackground(begun().runCmd('sleep 60'), name, connection);
  await until(
    'the second step, with the first one in the cache',
    async () => {
      const { logEntries } = await Template.getBuildStatus(build, connection);
      const cached = (await cachedSteps()) > cachedBefore;
      return cached && logEntries.some(({ message }) => message.includes('sleep 60'));
    },
    waitMs,
  );
  process.kill(findServerPart(server.pid, part) ?? Number.NaN, 'SIGKILL');
  const polls: string[] = [];
  const ended = await until(
    'the end of the build',
    async () => {
      try {
        const status = await Template.getBuildStatus(build, connection);
        polls.push(status.status);
        return status.status !== 'building' && status;
      } catch (error) {
        polls.push((error as Error).message);
        return undefined;
      }
    },
    waitMs,
  );
  expect(ended).toMatchObject({ status: 'error', reason: { message: reason } });
  for (const poll of polls.slice(0, -1)) if (poll !== 'building') expect(poll).toMatch(unavailable);
  await until('no trace of the build', async () => (await listStrays()).length === 0, waitMs);
  expect(await namesIn('sandboxes')).toEqual([]);
  expect(await namesIn('snapshots')).toEqual([]);

  const lines: string[] = [];
  const onBuildLogs = ({ message }: LogEntry): void => void lines.push(message);
  await until(
    'an accepted build',
    async () => {
      try {
        await Template.build(begun().runCmd('echo second'), name, { ...connection, onBuildLogs });
        return true;
      } catch (error) {
        expect((error as Error).message).toMatch(unavailable);
        return false;
      }
    },
    waitMs,
  );
  expect(lines.filter((line) => line.includes('CACHED'))).toHaveLength(1);
  const sandbox = await Sandbox.create(name, connection);
  expect((await sandbox.commands.run('cat /opt/first')).stdout).toBe(`${word}\n`);
  await sandbox.kill();
  const { apiUrl, apiKey } = connection;
  const removed = await fetch(`${apiUrl}/templates/${name}`, { method: 'DELETE', headers: { 'x-api-key': apiKey } });
  expect(removed.status).toBe(204);
  await until('no snapshot', async () => (await namesIn('snapshots')).length === 0, waitMs);
});
