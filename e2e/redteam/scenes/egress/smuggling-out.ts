import { setTimeout as sleep } from 'node:timers/promises';
import { Breach, refuseBreaches } from '../../attempt.ts';
import type { Scene } from '../../attempt.ts';
import { lab, namedCreate, namedPolicy, nameOf } from '../../internet.ts';
import type { World } from '../../world.ts';
import { readLeniently } from '../lenient-requests.ts';
import { forms } from '../smuggling.ts';
import { runPython } from './programs.ts';

/** More ways to change what the header of a rule means. Name, headers, body. */
const headerForms: typeof forms = [
  ['the header of the rule, too', 'Authorization: Bearer own', ''],
  ['the header of the rule, folded', 'X: y\r\n Authorization: Bearer own', ''],
  ['the header of the rule behind a blank', 'Authorization : Bearer own', ''],
  ['the header of the rule behind a NUL', 'Authorization\0: Bearer own', ''],
  ['the header of the rule behind a bare carriage return', 'X: y\rAuthorization: Bearer own', ''],
  ['the header of the rule behind a bare line feed', 'X: y\nAuthorization: Bearer own', ''],
  ['the header of the rule as one of the hop', 'Connection: authorization, host, x-forwarded-for', ''],
  ['the header of the rule as a trailer', 'Transfer-Encoding: chunked', '0\r\nAuthorization: Bearer own\r\n\r\n'],
  ['two Host headers', 'Host: localhost', ''],
  ['more headers than a server reads', Array.from({ length: 2000 }, (_, n) => `A${n}: b`).join('\r\n'), ''],
];
const allForms = [...forms, ...headerForms];

/** Sends every form on a connection of its own, all at once. Prints how many were answered. */
const send = (address: string, port: number, host: string, encrypted: boolean): string => `
import concurrent.futures
forms = json.loads(open('/tmp/forms.json').read())
def one(form):
  sent = ('POST /first HTTP/1.1\\r\\nHost: ${host}:${port}\\r\\n%s\\r\\n\\r\\n%s' % tuple(form)).encode('latin1')
  # The plain request must be answered, however busy the host is. Many others never are.
  is_plain = form[0] == 'X-Plain: 1'
  try:
    opened = socket.create_connection(('${address}', ${port}), 10 if is_plain else 3)
    if ${encrypted ? 'True' : 'False'}:
      context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
      context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
      opened = context.wrap_socket(opened, server_hostname='${host}')
    opened.settimeout(10 if is_plain else 1)
    opened.sendall(sent)
    answer = opened.recv(4096)
    opened.settimeout(1)
    try:
      while opened.recv(4096): pass
    except OSError: pass
    opened.close()
    return answer.startswith(b'HTTP/1.1 200')
  except OSError: return False
with concurrent.futures.ThreadPoolExecutor(64) as pool: print(sum(pool.map(one, forms)))
`;

/** Returns what arrived at the port, one text for each connection. */
async function sendForms(world: World, port: number, host: string, encrypted: boolean): Promise<string[]> {
  return await world.withPolicy(
    namedPolicy(),
    async (sandbox) => {
      const address = encrypted ? lab.ruled : lab.allowed;
      const texts = [['X-Plain: 1', ''], ...allForms.map(([, headers, body]) => [headers, body])];
      await sandbox.files.write('/tmp/forms.json', JSON.stringify(texts));
      await world.outside.forget();
      const answered = Number(await runPython(sandbox, send(address, port, host, encrypted)));
      if (!(answered >= 1)) throw new Error('not even a plain request was answered');
      await sleep(300);
      const mark = `captured ${port} `;
      const heard = await world.outside.heard();
      return heard.filter((text) => text.startsWith(mark)).map((text) => text.slice(mark.length));
    },
    { create: namedCreate },
  );
}

/** Requests that some server would see. Others read a trailer or a part of a body as the head of one. */
const requestsIn = (bytes: string): ReturnType<typeof readLeniently> =>
  readLeniently(bytes).filter(({ target }) => /^[/*]|^https?:/.test(target));

async function throughInterception(world: World): Promise<string> {
  // A connection to the host is opened before the first request is judged.
  const arrived = (await sendForms(world, 8443, nameOf('capture'), true)).filter((text) => text !== '');
  const right = `Bearer ${world.internet.canary}`;
  const seen = arrived.flatMap(requestsIn);
  const breaches = seen.flatMap(({ target, headers }) => [
    ...(target === '/first' ? [] : [`the host sees a request for ${target}`]),
    ...(headers.get('authorization') === right ? [] : [`${target} has ${headers.get('authorization') ?? 'no header'}`]),
  ]);
  const doubled = arrived.filter((text) => (text.match(/^authorization[^\S\n]*:/gim) ?? []).length !== 1);
  refuseBreaches([...breaches, ...doubled.map((text) => `not one header of the rule: ${text.slice(0, 200)}`)]);
  if (seen.length === 0) throw new Error('nothing arrived');
  return `${allForms.length} forms; ${arrived.length} connections arrived, each request listed and with the header of its rule`;
}

async function pastHostGuard(world: World): Promise<string> {
  const arrived = await sendForms(world, 8081, nameOf('allowed'), false);
  const own = `${nameOf('allowed')}:8081`;
  const others = arrived.flatMap(requestsIn).filter(({ headers }) => headers.get('host') !== own);
  if (others.length > 0)
    throw new Breach(
      others.map(({ target, headers }) => `${target} for ${headers.get('host') ?? 'nobody'}`).join('; '),
    );
  if (arrived.length === 0) throw new Error('nothing arrived');
  return `${allForms.length} forms; ${arrived.length} connections arrived, each request for the allowed host`;
}

const scene = { kind: 'scene', by: ['user'], pace: 'quick' } as const;

export const smugglingOut: readonly Scene[] = [
  { ...scene, wall: 'injected', name: 'smuggles a request through the interception of TLS', run: throughInterception },
  {
    ...scene,
    wall: 'policy',
    name: 'smuggles a request for another host into an allowed connection',
    run: pastHostGuard,
  },
];
