import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo, Server } from 'node:net';
import { mkdir, mkdtemp, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { removeTree, run } from '@soulbox/base';
import { createCustomDirectory, readCustomSources } from './custom-sources.ts';
import type { CustomSource } from './custom-sources.ts';
import { useEnvd } from '../testing/use-envd.ts';
import { asUser, createClients, runShell } from '../testing/clients.ts';

let directory: string;
let servers: Server[];
beforeEach(async () => {
  servers = [];
  directory = await mkdtemp(join(tmpdir(), 'soulbox-custom-'));
});
afterEach(async () => {
  for (const server of servers) server.close();
  await removeTree(directory);
});

const write = async (name: string, text: string): Promise<void> => await writeFile(join(directory, name), text);
const sourceOf = async (name: string): Promise<CustomSource | undefined> =>
  (await readCustomSources(directory)).find((source) => source.name === name);

async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
const serve = async (listener: RequestListener): Promise<number> => await listen(createServer(listener));

describe('files of user code', () => {
  test('are read as they are, in order of their names, and others are left out', async () => {
    await write('b.prom', 'b 1\n');
    await write('a.prom', 'a 2\n');
    for (const name of ['a.txt', '.prom', 'a b.prom', `${'x'.repeat(65)}.prom`]) await write(name, 'c 3\n');
    expect(await readCustomSources(directory)).toEqual([
      { name: 'a.prom', text: 'a 2\n' },
      { name: 'b.prom', text: 'b 1\n' },
    ]);
  });

  test('are cut after the last whole line that fits', async () => {
    await write('long.prom', 'name 1\n'.repeat(20_000));
    const { text, fault } = (await sourceOf('long.prom')) ?? { text: '' };
    expect(text.length).toBeLessThanOrEqual(65_536);
    expect(text.endsWith('name 1\n')).toBe(true);
    expect(fault).toBe('More than 65536 bytes.');
    await write('line.prom', 'x'.repeat(100_000));
    expect(await sourceOf('line.prom')).toMatchObject({ text: '', fault: 'More than 65536 bytes.' });
  });

  test('are at most 32, with 256 KiB together', async () => {
    for (let index = 10; index < 60; index++) await write(`${index}.prom`, 'name 1\n'.repeat(9000));
    const sources = await readCustomSources(directory);
    expect(sources).toHaveLength(32);
    expect(sources.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(262_144);
    expect(sources.at(-1)?.fault).toBe('All files together have more than 262144 bytes.');
  });

  test('that are links, folders, devices or FIFOs are not read', async () => {
    await symlink('/etc/passwd', join(directory, 'link.prom'));
    await mkdir(join(directory, 'folder.prom'));
    await run('mkfifo', [join(directory, 'fifo.prom')]);
    const sources = await readCustomSources(directory);
    expect(sources.map(({ name }) => name)).toEqual(['fifo.prom', 'folder.prom', 'link.prom']);
    for (const { text, fault } of sources) expect([text, typeof fault]).toEqual(['', 'string']);
  });

  test('need no folder, and the folder is like /tmp', async () => {
    expect(await readCustomSources(join(directory, 'none'))).toEqual([]);
    createCustomDirectory(join(directory, 'made'));
    expect((await stat(join(directory, 'made'))).mode & 0o7777).toBe(0o1777);
    await write('file', '');
    createCustomDirectory(join(directory, 'file'));
    await symlink(directory, `${directory}/link`);
    createCustomDirectory(join(directory, 'link'));
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
  });
});

describe('a port of user code', () => {
  test('is asked for /metrics, or for the path in the file', async () => {
    const port = await serve((request, response) => response.end(`asked{path="${request.url ?? ''}"} 1\n`));
    await write('a.port', `${port}\n`);
    await write('b.port', `${port}/other?x=1`);
    expect((await sourceOf('a.port'))?.text).toBe('asked{path="/metrics"} 1\n');
    expect((await sourceOf('b.port'))?.text).toBe('asked{path="/other?x=1"} 1\n');
  });

  test.each(['', 'x', '0', '65536', '80 /metrics', '80/a b', '127.0.0.1:80', `80/${'a'.repeat(300)}`])(
    'is not asked if the file contains %j',
    async (text) => {
      await write('a.port', text);
      expect((await sourceOf('a.port'))?.fault).toContain('must contain a port');
    },
  );

  test.each([
    ['refuses', async () => await Promise.resolve(1), 'did not answer with HTTP'],
    ['speaks no HTTP', async () => await listen(createTcpServer((socket) => socket.end('hello\r\n\r\n'))), 'answer'],
    ['never answers', async () => await serve(() => undefined), 'did not answer within 1000 ms'],
    ['never ends', async () => await serve((_, response) => void response.write('a 1\n')), 'did not answer within'],
    ['fails', async () => await serve((_, response) => void response.writeHead(500).end()), 'status 500'],
    [
      'redirects',
      async () => await serve((_, response) => void response.writeHead(302, { location: '/x' }).end()),
      'status 302',
    ],
    [
      'sends without end',
      async () =>
        await serve((_, response) => {
          const timer = setInterval(() => response.write('name 1\n'.repeat(1000)), 1);
          response.on('close', () => clearInterval(timer));
        }),
      'More than 65536 bytes',
    ],
  ])('that %s is a fault, and the files are read', async (_name, open, fault) => {
    await write('a.prom', 'a 1\n');
    await write('b.port', String(await open()));
    const [file, port] = await readCustomSources(directory);
    expect(file).toEqual({ name: 'a.prom', text: 'a 1\n' });
    expect(port?.fault).toContain(fault);
    for (const server of servers) if ('closeAllConnections' in server) (server.closeAllConnections as () => void)();
  });
});

describe('GET /soulbox/metrics', () => {
  const envd = useEnvd();
  const ask = async (token: string): Promise<Response> =>
    await fetch(`${envd().baseUrl}/soulbox/metrics`, { headers: { 'x-soulbox-host-token': token } });

  test('gives the host what any user has written', async () => {
    const { process } = createClients(envd().baseUrl);
    await runShell(
      process,
      `echo 'jobs 7' > /run/soulbox/metrics/mine.prom; ln -s /etc/shadow /run/soulbox/metrics/no.prom`,
    );
    const { sources } = (await (await ask(envd().hostToken)).json()) as { sources: CustomSource[] };
    expect(sources[0]).toEqual({ name: 'mine.prom', text: 'jobs 7\n' });
    expect(sources[1]?.text).toBe('');
    await runShell(process, 'rm -r /run/soulbox/metrics', asUser('root'));
    expect(await (await ask(envd().hostToken)).json()).toEqual({ sources: [] });
  });

  test('does not exist for others', async () => {
    for (const token of ['', 'wrong']) expect((await ask(token)).status).toBe(404);
  });
});
