import { metadataAddresses } from '../../addresses.ts';
import { badNames, nameOf } from '../../internet.ts';
import type { InsideAttempt } from '../../attempt.ts';
import { policed } from './policed.ts';

/** Addresses of metadata and of the host in a sandbox whose connections a process of the host makes for it. */
const notations = [
  '2852039166',
  '0251.0376.0251.0376',
  '0xa9fea9fe',
  '169.254.43518',
  '169.16689662',
  '::ffff:a9fe:a9fe',
];

const reach = (host: string, port = 80): string => `return get('${host}', ${port}, '/' + P['reached'])`;
const chosen = (bad: string): string => `name = P['frontName'] if P['targetName'] == P['frontName'] else '${bad}'\n`;

export const policedAddresses: readonly InsideAttempt[] = [
  ...[...metadataAddresses, ...notations].map((address) =>
    policed(`reaches the metadata service ${address} by the egress process`, reach(address), {
      wall: 'addresses',
      control: 'host',
    }),
  ),
  ...badNames.flatMap((label) => [
    policed(
      `reaches the forbidden address of an allowed name over HTTP (${label})`,
      `${chosen(nameOf(label))}return plain(P['frontAddress'], 80, b'GET /' + P['reached'].encode() + b' HTTP/1.1\\r\\nHost: ' + name.encode() + b'\\r\\n\\r\\n')`,
      { wall: 'addresses' },
    ),
    policed(
      `reaches the forbidden address of an allowed name over TLS (${label})`,
      `${chosen(nameOf(label))}return passed(https(P['frontAddress'], name, request(name, '/' + P['reached']), seconds=2))`,
      { wall: 'addresses' },
    ),
    policed(
      `looks up the forbidden address of an allowed name (${label})`,
      `${chosen(nameOf(label))}answer = lookup(name)
if answer[-4:] == socket.inet_aton('0.0.0.0'): raise ConnectionRefusedError(111, 'no address')
return answer`,
      { wall: 'addresses' },
    ),
  ]),
  policed(
    'gets a forbidden address of IPv6 from its name server',
    `return any_of([lambda name=name: lookup(name, 'AAAA') for name in ('${nameOf('mapped')}', '${nameOf('both')}')])`,
    { wall: 'addresses', control: { none: 'sandboxes get no records of IPv6 at all' } },
  ),
  policed(
    'follows the redirect of an allowed host to the metadata service',
    `target = P['targetName'] if P['targetName'] == P['frontName'] else '169.254.169.254'
answer = https(P['frontAddress'], P['frontName'], request(P['frontName'], '/away?to=http://' + target + '/x'))
host = re.search(r'location: http://([^/]+)/', answer, re.I).group(1)
return plain(host, 80, b'GET /' + P['reached'].encode() + b' HTTP/1.1\\r\\nHost: ' + host.encode() + b'\\r\\n\\r\\n')`,
    { wall: 'addresses' },
  ),
  ...([5380, 5353] as const).map((port) =>
    policed(
      `connects to the listener of the egress process on port ${port}`,
      `return any_of([lambda host=host: exchange(host, ${port}, b'GET / HTTP/1.1\\r\\nHost: allowed.redteam.test\\r\\n\\r\\n', seconds=1) for host in P['listeners']])`,
      { wall: 'addresses', control: { none: 'the listener talks to redirected connections only' } },
    ),
  ),
  policed(
    'connects to every address of the host by the egress process',
    `any_of([lambda host=host: get(host, P['apiPort'], '/health') for host in P['hostAddresses']])`,
    { wall: 'addresses', control: 'host' },
  ),
  policed(
    'sends from the address of another sandbox',
    `opened = socket.socket()
opened.settimeout(1)
opened.bind((P['sandboxAddresses'][1], 0))
opened.connect((P['frontAddress'], 80))`,
    { wall: 'addresses', control: { none: 'nobody has the address' }, refusedWith: ['EADDRNOTAVAIL'] },
  ),
];
