import { createServer } from 'node:http';
import { networkInterfaces } from 'node:os';
import type { AddressInfo } from 'node:net';
import { run } from '@soulbox/base';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openOutside } from '../harness/outside.ts';
import type { Outside } from '../harness/outside.ts';
import { createSandbox, sharedSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const publicAddresses = ['45.67.89.10', '45.67.89.11'];
// One address of each range that no sandbox may reach (docs/decisions/005-network.md).
const forbidden = [
  ...['169.254.169.254', '192.168.77.7', '172.16.5.5', '100.100.100.200', '10.77.0.7', '192.0.0.192', '168.63.129.16'],
  ...['198.19.7.7'],
];

/** The first two bytes of the addresses of the server's sandboxes on this host. */
const ownRange = `10.${String(200 + server.instance)}`;

const sandbox = sharedSandbox();
let outside: Outside;
beforeAll(async () => {
  outside = await openOutside([...publicAddresses, ...forbidden]);
});
afterAll(async () => {
  await outside[Symbol.asyncDispose]();
});

async function get(from: Sandbox, url: string, user = 'user'): Promise<string> {
  const command = `curl -gsS -m 2 --noproxy '*' '${url}' 2>/dev/null || echo unreachable`;
  return (await from.commands.run(command, { user })).stdout.trim();
}

test('a sandbox reaches the outside with the address of this host', async () => {
  expect(await get(sandbox(), 'http://45.67.89.10/')).toBe(`caller ${outside.hostAddress}`);
});

test.each(forbidden)('%s cannot be reached although it exists', async (address) => {
  expect(await (await fetch(`http://${address}/`)).text()).toMatch(/^caller /);
  expect(await get(sandbox(), `http://${address}/`)).toBe('unreachable');
  expect(await get(sandbox(), `http://${address}/`, 'root')).toBe('unreachable');
});

test('other notations of a forbidden address do not work either', async () => {
  const forms = ['[::ffff:169.254.169.254]', '[::ffff:a9fe:a9fe]', '0xa9fea9fe', '2852039166', '0251.0376.0251.0376'];
  for (const form of forms) expect(await get(sandbox(), `http://${form}/`), form).toBe('unreachable');
});

test('a sandbox cannot reach this host or the API by any address of the host', async () => {
  const listener = createServer((_request, response) => response.end('host'));
  await new Promise<void>((resolve) => listener.listen(0, '::', resolve));
  const { port } = listener.address() as AddressInfo;
  const own = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  const addresses = own.filter(({ family }) => family === 'IPv4').map(({ address }) => address);
  const gateway = (
    await sandbox().commands.run(`ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'`)
  ).stdout.trim();
  try {
    for (const address of [...addresses, gateway, 'localhost', '[::1]', '0.0.0.0']) {
      for (const target of [port, server.port, server.tlsPort]) {
        expect(await get(sandbox(), `http://${address}:${String(target)}/health`), address).toBe('unreachable');
      }
    }
  } finally {
    listener.close();
  }
}, 120_000);

test('sandboxes do not reach each other', async () => {
  const other = await createSandbox();
  await other.commands.run('python3 -m http.server 8000', { background: true, timeoutMs: 0 });
  const prefix = ownRange + '.0.';
  // These include the addresses of the two sandboxes and of any spares.
  const routes = (await run('ip', ['route'])).split('\n').filter((line) => line.startsWith(prefix));
  expect(routes.length).toBeGreaterThanOrEqual(2);
  const last = Math.max(...routes.map((line) => Number(/\.(\d+) /.exec(line)?.[1])));
  expect(last).toBeLessThan(256);
  const scan = `import socket
def open_(host):
  try: socket.create_connection((host, 8000), 0.3).close(); return True
  except OSError: return False
print([h for h in ['127.0.0.1'] + ['${prefix}%d' % i for i in range(1, ${last + 1})] if open_(h)])`;
  // Each sandbox has a server on that port, so the scan must at least find its own.
  await sandbox().commands.run('python3 -m http.server 8000', { background: true, timeoutMs: 0 });
  for (const from of [sandbox(), other]) {
    await until('its server', async () => (await get(from, 'http://127.0.0.1:8000/')) !== 'unreachable');
    await from.files.write('/tmp/scan.py', scan);
    expect((await from.commands.run('python3 /tmp/scan.py')).stdout).toBe("['127.0.0.1']\n");
  }
});

test('root inside cannot bypass the rules with another address or route', async () => {
  const script = `ip addr add ${ownRange}.0.2/32 dev eth0; ip route add 169.254.169.254 dev eth0; iptables -F; nft flush ruleset
curl -s -m 2 --interface ${ownRange}.0.2 http://45.67.89.10/ || echo spoof refused
curl -s -m 2 http://169.254.169.254/ || echo metadata refused`;
  const { stdout } = await sandbox().commands.run(`{ ${script} ; } 2>/dev/null`, { user: 'root' });
  expect(stdout.replace(/^caller.*$/m, '')).toContain('metadata refused');
  expect(stdout).not.toContain(`caller ${ownRange}`);
});

test('a sandbox without internet access reaches nothing, not even name servers, but still answers', async () => {
  const closed = await createSandbox({ allowInternetAccess: false });
  expect(await get(closed, 'http://45.67.89.10/')).toBe('unreachable');
  const udp = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1.5); s.sendto(b'hi', ('45.67.89.10', 53))
try: print(s.recv(99))
except OSError: print('no answer')`;
  await closed.files.write('/tmp/udp.py', udp);
  await sandbox().files.write('/tmp/udp.py', udp);
  expect((await sandbox().commands.run('python3 /tmp/udp.py')).stdout).toBe("b'echo hi'\n");
  expect((await closed.commands.run('python3 /tmp/udp.py')).stdout).toBe('no answer\n');
  const lookup = await closed.commands.run('timeout 4 getent hosts example.com || echo no name');
  expect(lookup.stdout).toBe('no name\n');
  expect((await closed.getInfo()).allowInternetAccess).toBe(false);
});

/**
 * Milliseconds until a look-up or connection fails: by the C library, by Node's resolver, and over TCP to an address.
 */
async function failures(from: Sandbox): Promise<Record<string, number>> {
  const script = `const start = process.hrtime.bigint(); const done = (name) => console.log(name, Number(process.hrtime.bigint() - start) / 1e6);
require('dns').lookup('example.com', () => done('libc'));
new (require('dns').Resolver)().resolve4('example.com', () => done('cares'));
require('net').connect(443, '45.67.89.10').on('error', () => done('tcp')).on('connect', () => done('open'));`;
  const { stdout } = await from.commands.run(`node -e "$SCRIPT"`, { envs: { SCRIPT: script }, timeoutMs: 60_000 });
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ') as [string, string])
      .map(([name, milliseconds]) => [name, Number(milliseconds)]),
  );
}

function expectSoon(measured: Record<string, number>): void {
  expect(Object.keys(measured).toSorted()).toEqual(['cares', 'libc', 'tcp']);
  for (const [name, milliseconds] of Object.entries(measured)) expect(milliseconds, name).toBeLessThan(1000);
}

test('connections of a closed sandbox fail at once, also after a pause and in copies', async () => {
  const closed = await createSandbox({ allowInternetAccess: false });
  expectSoon(await failures(closed));
  await closed.pause();
  await closed.connect();
  expectSoon(await failures(closed));
  const { snapshotId } = await closed.createSnapshot();
  const copies = [await Sandbox.create(snapshotId, { allowInternetAccess: false }), ...(await closed.fork())];
  try {
    for (const copy of copies) {
      if (copy instanceof Error) throw copy;
      expectSoon(await failures(copy));
    }
  } finally {
    for (const copy of copies) if (!(copy instanceof Error)) await copy.kill();
  }
}, 120_000);

test('allowed addresses stay open in a closed sandbox', async () => {
  const half = await createSandbox({ network: { allowOut: ['45.67.89.11'], denyOut: ['0.0.0.0/0'] } });
  expect(await get(half, 'http://45.67.89.11/')).toMatch(/^caller /);
  expect(await get(half, 'http://45.67.89.10/')).toBe('unreachable');
});

test('a denied range is closed, and the rest stays open', async () => {
  const some = await createSandbox({ network: { denyOut: ['45.67.89.11/32'] } });
  expect(await get(some, 'http://45.67.89.11/')).toBe('unreachable');
  expect(await get(some, 'http://45.67.89.10/')).toMatch(/^caller /);
});

test('allowing a private address does not open this host', async () => {
  const tricky = await createSandbox({ network: { allowOut: ['127.0.0.1', outside.hostAddress, '10.0.0.0/8'] } });
  for (const address of [outside.hostAddress, '127.0.0.1', `${ownRange}.0.1`]) {
    expect(await get(tricky, `http://${address}:${String(server.port)}/health`), address).toBe('unreachable');
  }
});
