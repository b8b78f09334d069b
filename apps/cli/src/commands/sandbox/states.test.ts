import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { findCriu } from '@soulbox/host';
import { openTemplateStore } from '@soulbox/templates';
import { isThere, startServer, testTemplatesDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { runCli } from '../../testing/run-cli.ts';

const ready = isThere(
  'base template or no CRIU; npm test brings both',
  (await openTemplateStore(testTemplatesDirectory).find('base')) !== undefined && (await findCriu()) !== undefined,
);

let server: ServerProcess | undefined;
beforeAll(async () => {
  if (ready) server = await startServer({ instance: 7, poolSize: 1 });
}, 90_000);
afterAll(async () => {
  await server?.stop();
  if (server !== undefined) await removeTree(server.dataDirectory);
}, 90_000);

/** The output of a command that must succeed, without the trailing newline. */
async function soulbox(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args, server?.clientEnvironment);
  // A command that takes long says so.
  expect({ args, code, stderr: stderr.replace(/^\w+ing .*\n/gm, '') }).toEqual({ args, code: 0, stderr: '' });
  return stdout.trimEnd();
}

test.runIf(ready)(
  'a sandbox is paused, resumed, copied and ended, and the events show it',
  async () => {
    const id = await soulbox('sandbox', 'create');
    await soulbox('sandbox', 'pause', id);
    expect(await soulbox('sandbox', 'list', '--state', 'paused')).toContain(id);
    expect(await runCli(['sandbox', 'pause', id], server?.clientEnvironment)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^error: .*\(already_paused\)\n$/) as string,
    });
    expect(await soulbox('sandbox', 'resume', id)).toBe(`Resumed ${id}.`);
    expect((await soulbox('sandbox', 'fork', id, '--count', '2')).split('\n')).toHaveLength(2);

    const snapshot = await soulbox('sandbox', 'snapshot', id, '--name', 'kept');
    expect(await soulbox('snapshot', 'list')).toContain(snapshot);
    const copy = await soulbox('snapshot', 'fork', snapshot);
    await soulbox('snapshot', 'delete', snapshot);
    expect(await soulbox('snapshot', 'list', '--json')).toBe('[]');
    await soulbox('sandbox', 'kill', copy);
    await soulbox('sandbox', 'kill', id);

    const words = (await soulbox('events', id)).split('\n').map((line) => line.trim().split(/\s+/)[3]);
    expect(words).toEqual(['created', 'paused', 'resumed', 'checkpointed', 'checkpointed', 'killed']);
  },
  60_000,
);

test.runIf(ready)(
  'a webhook is created, listed without its secret and deleted',
  async () => {
    const [id = '', secret = ''] = (await soulbox('webhook', 'create', 'https://example.com/')).split('\n');
    const listed = await soulbox('webhook', 'list');
    expect(listed).toContain(id);
    expect(listed).not.toContain(secret);
    await soulbox('webhook', 'delete', id);
    expect(await soulbox('webhook', 'list', '--json')).toBe('[]');
  },
  30_000,
);
