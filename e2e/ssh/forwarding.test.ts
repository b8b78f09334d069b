/** @module-tag violation */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { findFreePort } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiUrl } from '../harness/server.ts';
import { openSshBench } from '../harness/ssh.ts';
import type { SshBench } from '../harness/ssh.ts';
import { until } from '../harness/until.ts';

let bench: SshBench;
beforeAll(async () => {
  bench = await openSshBench();
});
afterAll(async () => await bench[Symbol.asyncDispose]());

test('a port of the sandbox is reached through a forwarded one', async () => {
  const inside = await bench.sandbox.commands.run(
    'mkdir -p /tmp/www && cd /tmp/www && echo served > f && exec python3 -m http.server 8000',
    {
      background: true,
    },
  );
  const local = await findFreePort();
  const client = spawn(
    'ssh',
    [...bench.with('id'), '-p', String(bench.port), '-N', '-L', `${String(local)}:localhost:8000`, bench.at],
    {
      stdio: 'ignore',
    },
  );
  const read = async (): Promise<string> =>
    await new Promise((resolve) => {
      get(`http://127.0.0.1:${String(local)}/f`, (answer) => {
        let text = '';
        answer.on('data', (piece) => (text += String(piece))).on('end', () => resolve(text));
      }).on('error', () => resolve(''));
    });
  await until('the file', async () => (await read()) === 'served\n');
  client.kill();
  await once(client, 'exit');
  await inside.kill();
});

test('a SOCKS client reaches ports of the sandbox, and nothing else', async () => {
  const inside = await bench.sandbox.commands.run(
    'cd /tmp && echo in > g && exec python3 -m http.server 8200 --bind 127.0.0.1',
    {
      background: true,
    },
  );
  const local = String(await findFreePort());
  const client = spawn('ssh', [...bench.with('id'), '-p', String(bench.port), '-N', '-D', local, bench.at], {
    stdio: 'ignore',
  });
  const read = (url: string): string =>
    spawnSync('curl', ['-s', '--max-time', '5', '--socks5-hostname', `127.0.0.1:${local}`, url], { encoding: 'utf8' })
      .stdout;
  await until('the file', () => read('http://localhost:8200/g') === 'in\n');
  expect(read(`http://127.0.0.2:${new URL(apiUrl).port}/`)).toBe('');
  client.kill();
  await once(client, 'exit');
  await inside.kill();
});

/** A server on this host, and a client that forwards a port of the sandbox to it. */
async function forwardBack(asked: string) {
  const server = createServer((request, response) => {
    response.end(`from the host: ${request.url ?? ''}`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const client = spawn(
    'ssh',
    [
      ...bench.with('id'),
      '-p',
      String(bench.port),
      '-N',
      '-o',
      'ExitOnForwardFailure=yes',
      '-R',
      `${asked}:${host}`,
      bench.at,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  client.stderr.on('data', (bytes: Buffer) => (said += String(bytes)));
  const exit = once(client, 'exit');
  return {
    said: () => said,
    exit,
    async end() {
      client.kill();
      await exit;
      server.close();
      server.closeAllConnections();
    },
  };
}
const fetchInside = async (portInside: number, path = '/'): Promise<string> =>
  (await bench.sandbox.commands.run(`curl -s --max-time 5 http://localhost:${String(portInside)}${path} || echo none`))
    .stdout;

test('a port of the sandbox is forwarded back to the client, and ends with it', async () => {
  const forwarded = await forwardBack('8100');
  await until('the port', async () => (await fetchInside(8100, '/a')) === 'from the host: /a');
  const many = await bench.sandbox.commands.run(
    'for n in $(seq 20); do curl -s http://127.0.0.1:8100/$n & done; wait; echo; for n in $(seq 5); do curl -s "http://[::1]:8100/x"; done',
  );
  expect(many.stdout.match(/from the host/g)).toHaveLength(25);
  // It is the client's own: whoever knows the address of the sandbox does not reach it.
  const answer = await fetch(`${apiUrl}/`, {
    headers: { 'e2b-sandbox-id': bench.sandbox.sandboxId, 'e2b-sandbox-port': '8100' },
  });
  expect([answer.status, await answer.text()]).toEqual([502, expect.not.stringContaining('from the host')]);
  const taken = await forwardBack('8100');
  expect([(await taken.exit)[0], taken.said()]).toEqual([255, expect.stringContaining('port forwarding failed')]);
  await taken.end();
  await forwarded.end();
  await until('its end', async () => (await fetchInside(8100)) === 'none\n');
  expect(bench.ssh(['@', 'pgrep -fc "envd [-]e"']).stdout).toBe('0\n');
});

test('any port can be forwarded back, none listens on this host, and a pause ends it', async () => {
  const forwarded = await forwardBack('0');
  const chosen = Number((await until('the port', () => /Allocated port (\d+)/.exec(forwarded.said()) ?? undefined))[1]);
  expect(await fetchInside(chosen)).toBe('from the host: /');
  await expect(fetch(`http://127.0.0.1:${String(chosen)}/`)).rejects.toThrow();
  // A pause ends it. A client that does nothing else ends, so that it can be started again.
  await bench.sandbox.pause();
  await forwarded.exit;
  await forwarded.end();
  await Sandbox.connect(bench.sandbox.sandboxId);
  expect(await fetchInside(chosen)).toBe('none\n');
});
