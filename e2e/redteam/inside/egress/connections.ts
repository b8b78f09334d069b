import type { InsideAttempt } from '../../attempt.ts';
import { policed } from './policed.ts';

const head = (host: string, more = ''): string =>
  `b'GET /' + P['reached'].encode() + b' HTTP/1.1\\r\\nHost: ' + ${host} + b'\\r\\n${more}\\r\\n'`;
const target = `P['targetName'].encode()`;
const front = `P['frontName'].encode()`;

/** Plain HTTP that names, in any way, a host that the policy does not name. */
const hosts: readonly InsideAttempt[] = [
  policed('gets to a host by its name', `return plain(P['targetName'], 80, ${head(target)})`),
  policed('gets to a host by its address', `return get(P['targetAddress'], 80, '/' + P['reached'])`, {
    control: 'open',
  }),
  policed(
    'names another host in Host on the address of an allowed one',
    `return plain(P['frontAddress'], 80, ${head(target)})`,
  ),
  ...(
    [
      ['in capitals', `P['targetName'].upper().encode()`],
      ['with a trailing dot', `P['targetName'].encode() + b'.'`],
      ['with a port', `P['targetName'].encode() + b':80'`],
    ] as const
  ).map(([form, host]) =>
    policed(`names another host in Host ${form}`, `return plain(P['frontAddress'], 80, ${head(host)})`),
  ),
  ...(
    [
      ['two Host headers', `${front} + b'\\r\\nHost: ' + ${target}`],
      ['a Host of two names', `${front} + b', ' + ${target}`],
      ['a Host with a user', `${front} + b'@' + ${target}`],
      ['a Host with a NUL', `${front} + b'\\0.' + ${target}`],
      ['a Host with a path', `${front} + b'/' + ${target}`],
      ['a Host with a tab', `${front} + b'\\t' + ${target}`],
      ['a folded Host', `${front} + b'\\r\\n ' + ${target}`],
      ['a Host behind a bare line feed', `${front} + b'\\nHost: ' + ${target}`],
      ['a Host behind a blank', `${front} + b'\\r\\nHost : ' + ${target}`],
    ] as const
  ).map(([form, host]) =>
    policed(`hides another host in ${form}`, `return exchange(P['frontAddress'], 8081, ${head(host)})`, {
      control: 'open',
    }),
  ),
  policed(
    'names another host in the absolute form',
    `name = P['targetName'].encode()
return plain(P['frontAddress'], 80, b'GET http://' + name + b'/' + P['reached'].encode() + b' HTTP/1.1\\r\\nHost: ' + name + b'\\r\\n\\r\\n')`,
  ),
  policed(
    'names another host in the absolute form only',
    `return exchange(P['frontAddress'], 8081, b'GET http://' + ${target} + b'/' + P['reached'].encode() + b' HTTP/1.1\\r\\nHost: ' + ${front} + b'\\r\\n\\r\\n')`,
    { control: 'open' },
  ),
  policed(
    'uses an allowed host as a proxy (CONNECT)',
    `return exchange(P['frontAddress'], 8081, b'CONNECT ' + ${target} + b':80 HTTP/1.1\\r\\nHost: ' + ${target} + b'\\r\\n\\r\\n')`,
    { control: 'open' },
  ),
  policed(
    'names another host in the second request of a connection',
    `opened = connect(P['frontAddress'], 80, seconds=2)
opened.sendall(b'GET /first HTTP/1.1\\r\\nHost: ' + ${front} + b'\\r\\n\\r\\n')
if not take(opened).startswith(b'HTTP/1.1 200'): raise Unreached('the first request failed')
opened.sendall(${head(target)})
answer = take(opened)
if not answer.startswith(b'HTTP/1.1 200'): raise ConnectionResetError(104, 'ended')
return answer`,
  ),
  policed(
    'sends another host in the body of a request (pipelining)',
    `second = ${head(target)}
opened = connect(P['frontAddress'], 80, seconds=2)
opened.sendall(b'POST /first HTTP/1.1\\r\\nHost: ' + ${front} + b'\\r\\nContent-Length: 0\\r\\n\\r\\n' + second)
got = b''
while got.count(b'HTTP/1.1 200') < 2:
  part = take(opened)
  if part == b'': raise ConnectionResetError(104, 'ended')
  got += part
return got`,
  ),
  policed(
    'hides another host in a request of HTTP/0.9 and HTTP/2 without TLS',
    `for sent in (b'GET /' + P['reached'].encode() + b'\\r\\n\\r\\n', b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n'):
  try: return exchange(P['targetAddress'], 8081, sent, seconds=1)
  except OSError as error: last = error
raise last`,
    { control: 'open' },
  ),
  policed(
    'sends the name of another host in pieces of one byte',
    `return plain(P['frontAddress'], 80, ${head(target)}, piece=1)`,
  ),
];

const tls = (hello: string, more = ''): string => `return exchange(P['frontAddress'], 9443, ${hello}${more})`;

/** The first flight of TLS that names, or hides, a host that the policy does not name. */
const hellos: readonly InsideAttempt[] = [
  policed('names another host by SNI', tls(`hello(P['targetName'])`)),
  policed(
    'names another host by SNI at its own address',
    `return exchange(P['targetAddress'], 9443, hello(P['targetName']))`,
  ),
  policed('names another host by SNI, in segments of one byte', tls(`hello(P['targetName'])`, ', piece=1'), {
    by: ['user'],
  }),
  policed('names another host by SNI, in many records', tls(`split(hello(P['targetName']), 60)`)),
  policed('names another host by SNI, in records and segments', tls(`split(hello(P['targetName']), 60)`, ', piece=7')),
  policed('names another host by SNI in capitals', tls(`hello(P['targetName'].upper())`)),
  policed(
    'names another host by SNI of TLS 1.0',
    `def old(context):
  context.minimum_version = ssl.TLSVersion.TLSv1
  context.maximum_version = ssl.TLSVersion.TLSv1_2
sent = bytearray(hello(P['targetName'], old))
sent[9:11] = b'\\x03\\x01'
return exchange(P['frontAddress'], 9443, bytes(sent))`,
  ),
  ...(
    [
      ['no SNI at all', `hello(None)`],
      ['no SNI, by an address', `extend(hello(None), server_names(P['targetAddress'].encode()))`],
      ['SNI with two names', `extend(hello(None), server_names(${front}, ${target}))`],
      ['two extensions of SNI', `extend(hello(P['frontName']), server_names(${target}))`],
      ['SNI with a NUL', `extend(hello(None), server_names(${front} + b'\\0.' + ${target}))`],
      ['SNI with a blank', `extend(hello(None), server_names(${front} + b' ' + ${target}))`],
      ['SNI with characters beyond ASCII', `extend(hello(None), server_names('ﬀorbidden.redteam.test'.encode()))`],
      ['SNI with a full-width dot', `extend(hello(None), server_names('allowed．redteam．test'.encode()))`],
      ['an empty SNI', `extend(hello(None), server_names(b''))`],
      ['SNI behind records of one byte', `split(hello(P['targetName']), 1)`],
      ['SNI behind an empty record', `b'\\x16\\x03\\x01\\0\\0' + hello(P['frontName'])`],
      ['SNI behind an alert', `b'\\x15\\x03\\x01\\0\\x02\\x01\\0' + hello(P['frontName'])`],
      ['SSL 2.0', `b'\\x80\\x2e\\x01\\x03\\x01\\0\\x15\\0\\0\\0\\x10' + bytes(37)`],
      ['a hello with bytes behind it', `hello(P['targetName']) + b'\\x17\\x03\\x03\\0\\x05early'`],
      [
        'a hello of 40,000 bytes',
        `extend(hello(P['frontName']), b'\\0\\x15' + struct.pack('>H', 40000) + bytes(40000))[:40000]`,
      ],
      [
        'the outer name of ECH, with another one inside',
        `extend(hello(P['targetName']), b'\\xfe\\x0d\\0\\x08' + bytes(8))`,
      ],
      [
        'extensions of GREASE before another name',
        `extend(hello(P['targetName']), b'\\x0a\\x0a\\0\\0\\x1a\\x1a\\0\\x01\\0')`,
      ],
    ] as const
  ).map(([form, bytes]) => policed(`hides the host: ${form}`, tls(bytes), { control: 'open' })),
  policed(
    'names an allowed host by SNI and another one inside, where a rule opens TLS',
    `return passed(https(P['ruledAddress'], P['ruledName'], request(P['targetName'] if P['targetName'] != P['frontName'] else P['ruledName'], '/' + P['reached'])))`,
  ),
  policed(
    'names another host in the absolute form, where a rule opens TLS',
    `name = P['targetName'] if P['targetName'] != P['frontName'] else P['ruledName']
return passed(https(P['ruledAddress'], P['ruledName'], request(P['ruledName'], 'https://' + name + '/' + P['reached'])))`,
  ),
  policed(
    'uses the host of a rule as a proxy (CONNECT)',
    `return passed(https(P['ruledAddress'], P['ruledName'], request(P['ruledName'], P['targetName'] + ':443', method='CONNECT' if P['targetName'] != P['frontName'] else 'OPTIONS').replace(b'OPTIONS allowed.redteam.test:443', b'OPTIONS *')))`,
  ),
];

export const policedConnections: readonly InsideAttempt[] = [...hosts, ...hellos];
