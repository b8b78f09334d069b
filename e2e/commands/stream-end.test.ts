import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { isThere } from '@soulbox/testing';
import * as current from 'e2b';
import * as older from 'e2b-2.14';
import * as old from 'e2b-2.45';
import { describe, expect, test } from 'vitest';
import { routes } from '../harness/http.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const python = '/usr/bin/python3';
const hasHttpx = isThere('python3-httpx', spawnSync(python, ['-c', 'import httpx']).status === 0);
const options = { background: true, timeoutMs: 0 } as const;
const clients = {
  '2.14.1': {
    start: async (id: string, command: string) =>
      await (await older.Sandbox.connect(id)).commands.run(command, options),
    TimeoutError: older.TimeoutError,
  },
  '2.45.0': {
    start: async (id: string, command: string) => await (await old.Sandbox.connect(id)).commands.run(command, options),
    TimeoutError: old.TimeoutError,
  },
  'of today': {
    start: async (id: string, command: string) =>
      await (await current.Sandbox.connect(id)).commands.run(command, options),
    TimeoutError: current.TimeoutError,
  },
};

/** The ways a sandbox stops being served while a stream of it is open. */
const ends = {
  'is killed': async (sandbox) => await sandbox.kill(),
  'is paused': async (sandbox) => await sandbox.pause(),
  'reaches its end of life': async (sandbox) => await sandbox.setTimeout(1000),
} satisfies Record<string, (sandbox: current.Sandbox) => Promise<unknown>>;
/** One prints nothing. The other never stops, so the end comes in the middle of a message. */
const commands = ['sleep 100', 'yes'];

describe.each(Object.entries(ends))('when a sandbox %s', (_what, end) => {
  test.each(Object.entries(clients))('the client %s reads the end of a command as such', async (_version, client) => {
    const sandbox = await createSandbox();
    const endings = commands.map(async (command) => {
      const handle = await client.start(sandbox.sandboxId, command);
      return await handle.wait().catch((error: unknown) => error);
    });
    await until('both commands', async () => (await sandbox.commands.list()).length === 2);
    await end(sandbox);
    for (const ending of await Promise.all(endings)) {
      expect(ending).toBeInstanceOf(client.TimeoutError);
      expect((ending as Error).message).toMatch(/paused, killed or reached its end of life/);
    }
  });

  test.skipIf(!hasHttpx).each(commands)(
    "Python's httpx reads a whole answer to %s, whose last message says so",
    async (command) => {
      const sandbox = await createSandbox();
      const token = (sandbox as unknown as { envdAccessToken: string }).envdAccessToken;
      const headers = JSON.stringify({ ...routes.headers(sandbox.sandboxId, 49_983), 'x-access-token': token });
      const script = join(import.meta.dirname, '../fixtures/read-stream.py');
      const child = spawn(python, [script, `http://127.0.0.1:${server.port}`, headers, command]);
      const lines: string[] = [];
      createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
      const closed = once(child, 'close');
      await until('the stream', () => lines.length > 0);
      await end(sandbox);
      await closed;
      expect(JSON.parse(lines[1] ?? '')).toEqual({
        flags: 2,
        error: { code: 'unavailable', message: 'the sandbox was paused, killed or reached its end of life' },
      });
    },
  );
});
