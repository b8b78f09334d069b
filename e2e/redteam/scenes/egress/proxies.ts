import { publicAddress } from '../../addresses.ts';
import { Breach } from '../../attempt.ts';
import type { Scene } from '../../attempt.ts';
import { lab, nameOf } from '../../internet.ts';
import type { World } from '../../world.ts';
import { ask } from '../raw.ts';
import { runPython } from './programs.ts';

const tryIt = `
try: print(plain('${publicAddress}', 80, b'GET /by-proxy HTTP/1.1\\r\\nHost: x.test\\r\\n\\r\\n', seconds=2)[:15])
except OSError as error: print(error)`;

/** A proxy whose address the sandbox may not reach: the egress process would connect to it. */
async function nameProxies(world: World): Promise<string> {
  const { target, outside } = world;
  const proxies = [
    ...['169.254.169.254:80', '100.100.100.200:80', `${lab.private}:80`, '127.0.0.1:80', '0.0.0.0:80', '198.18.0.1:80'],
    ...[`10.${200 + target.instance}.255.254:5380`, '2852039166:80', '0251.0376.0251.0376:80', '0xa9fea9fe:80'],
    ...['metadata', 'alias', 'private', 'host', 'loopback', 'mapped'].map((label) => `${nameOf(label)}:80`),
    ...['[::ffff:169.254.169.254]:80', '[fd00:ec2::254]:80', 'localhost:80', `127.0.0.1:${target.port}`],
  ];
  return await world.withPolicy({}, async (sandbox) => {
    const headers = { 'x-api-key': target.apiKey, 'content-type': 'application/json' };
    const use = async (address: string): Promise<number> => {
      const body = JSON.stringify({ egressProxy: { address, username: 'redteam', password: 'password' } });
      const path = `/sandboxes/${sandbox.sandboxId}/network`;
      const { status } = await ask(target.port, path, { method: 'PUT', headers, body });
      if (status === 204) await runPython(sandbox, tryIt);
      return status;
    };
    await outside.forget();
    let accepted = 0;
    for (const address of proxies) {
      const status = await use(address);
      if (status === 204) accepted += 1;
      else if (status !== 400) throw new Breach(`the proxy ${address} returns ${status}`);
      const heard = (await outside.heard()).filter((text) => !/^(A|AAAA) /.test(text));
      if (heard.length > 0) throw new Breach(`the proxy ${address} was connected: ${heard.join()}`);
    }
    await use(`${lab.proxy}:1080`);
    const heard = await outside.heard();
    if (!heard.includes('socks redteam password')) throw new Error('a public proxy is not used either');
    return `${proxies.length} proxies, ${accepted} of them accepted by the API, heard nothing; a public one did`;
  });
}

/** HTTP/2 on a connection that a rule opens, for another host than the one for which it was opened. */
const http2 = `
const { connect } = require('node:http2');
const [address, own, other] = process.argv.slice(2);
const session = connect('https://' + own, { servername: own, rejectUnauthorized: false, host: address,
  createConnection: () => require('node:tls').connect({ host: address, port: 443, servername: own, rejectUnauthorized: false, ALPNProtocols: ['h2'] }) });
session.on('error', (error) => console.log('session', error.code));
const ask = (name, headers) => new Promise((resolve) => {
  const end = (text) => { console.log(name + ' ' + text); resolve(); };
  try {
    const stream = session.request({ ':path': '/h2-' + name, ...headers });
    stream.on('response', (answer) => { end(answer[':status']); stream.close(); });
    stream.on('error', (error) => end(error.code));
    stream.on('close', resolve);
    stream.setTimeout(name === 'own' ? 15000 : 3000, () => end('nothing'));
  } catch (error) { end(error.code); }
});
(async () => {
  await ask('own', { ':authority': own });
  await ask('other', { ':authority': other });
  await ask('host', { ':authority': own, host: other });
  await ask('only-host', { host: other });
  await ask('user', { ':authority': other + '@' + own });
  await ask('port', { ':authority': own + ':80' });
  await ask('path', { ':authority': own, ':path': 'https://' + other + '/h2-path' });
  await ask('connect', { ':method': 'CONNECT', ':authority': other + ':443', ':path': undefined });
  await ask('scheme', { ':authority': own, ':scheme': 'http', ':path': '/h2-scheme' });
  session.destroy();
})();
`;

async function frontHttp2(world: World): Promise<string> {
  const own = nameOf('plain');
  const rules = { [own]: [{ transform: { headers: { authorization: 'Bearer plain' } } }] };
  return await world.withPolicy({ allowOut: [own], denyOut: ['0.0.0.0/0'], rules }, async (sandbox) => {
    await world.outside.forget();
    await sandbox.files.write('/tmp/h2.js', http2);
    const command = `node /tmp/h2.js ${lab.ruled} ${own} ${nameOf('forbidden')}`;
    const { stdout } = await sandbox.commands.run(command);
    const heard = (await world.outside.heard()).filter((text) => text.startsWith('https'));
    if (!heard.some((text) => text.includes('/h2-own'))) throw new Error(`HTTP/2 does not work at all: ${stdout}`);
    // A wrong port or scheme names the same host, and is corrected.
    const wrong = heard.filter((text) => !text.startsWith(`https ${own} `) || !/\/h2-(own|port|scheme) /.test(text));
    if (wrong.length > 0) throw new Breach(`the host got ${wrong.join('; ')}`);
    if (heard.some((text) => text.includes(nameOf('forbidden'))))
      throw new Breach(`it names another host: ${heard.join()}`);
    return `only its own host was asked; answers: ${stdout.trim().split('\n').join(', ')}`;
  });
}

export const proxies: readonly Scene[] = [
  {
    ...{ kind: 'scene', wall: 'namedAddresses', by: ['outside'], pace: 'long' },
    name: 'names forbidden addresses as egress proxies, in every notation',
    run: nameProxies,
  },
  {
    ...{ kind: 'scene', wall: 'injected', by: ['user'], pace: 'quick' },
    name: 'names another host by :authority, where a rule opens HTTP/2',
    run: frontHttp2,
  },
];
