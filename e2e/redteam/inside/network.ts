import { hasIpv6, metadataAddress6, metadataAddresses } from '../addresses.ts';
import { both } from '../attempt.ts';
import type { InsideAttempt } from '../attempt.ts';

type More = Partial<Pick<InsideAttempt, 'by' | 'refusedWith' | 'harmlessInOwnKernel' | 'wall'>>;

function asks(name: string, python: string, control: InsideAttempt['control'], more: More = {}): InsideAttempt {
  return { kind: 'inside', wall: 'addresses', by: both, name, python, control, ...more };
}

/** IPv6 and timeouts: nothing answered. */
const unanswered = [
  'ECONNREFUSED',
  'ETIMEDOUT',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EADDRNOTAVAIL',
  'EAFNOSUPPORT',
  'EINVAL',
];

const notations = [
  ['as a number', '2852039166'],
  ['in octal', '0251.0376.0251.0376'],
  ['in hexadecimal', '0xa9fea9fe'],
  ['in mixed notations', '0xa9.254.0251.254'],
  ['in three parts', '169.254.43518'],
  ['in two parts', '169.16689662'],
  ['mapped into IPv6', '::ffff:169.254.169.254'],
  ['mapped into IPv6 in hexadecimal', '::ffff:a9fe:a9fe'],
] as const;
/** No host routes these to the address: the program shows only that they gain nothing. */
const embedded = [
  ['compatible with IPv6', '::169.254.169.254'],
  ['translated (NAT64)', '64:ff9b::a9fe:a9fe'],
  ['in 6to4', '2002:a9fe:a9fe::1'],
  ['in Teredo', '2001:0:a9fe:a9fe::1'],
  ['as a number that overflows', '7147006462'],
] as const;

const reach = (host: string): string => `return get('${host}', 80, '/' + P['reached'])`;

/** Packets to where no sandbox may send any, and changes of its network. */
export const network: readonly InsideAttempt[] = [
  ...metadataAddresses.map((address) =>
    asks(`reaches the metadata service ${address}`, reach(address), 'host', { refusedWith: unanswered }),
  ),
  asks(
    `reaches the metadata service ${metadataAddress6}`,
    reach(metadataAddress6),
    hasIpv6 ? 'host' : { none: 'the host has no IPv6' },
    {
      refusedWith: unanswered,
    },
  ),
  ...notations.map(([form, address]) =>
    asks(`reaches the metadata service ${form} (${address})`, reach(address), 'host', { refusedWith: unanswered }),
  ),
  ...embedded.map(([form, address]) =>
    asks(
      `reaches the metadata service ${form} (${address})`,
      reach(address),
      { none: 'no route leads there' },
      { refusedWith: unanswered },
    ),
  ),
  asks(
    'reaches the metadata service by UDP',
    `opened = connect('169.254.169.254', 53, socket.SOCK_DGRAM)
opened.send(P['reached'].encode())
return opened.recv(100)`,
    { none: 'the stand-in answers UDP at its public address only' },
    { refusedWith: unanswered },
  ),
  asks(
    'connects to the API at every address of the host',
    `any_of([lambda host=host: get(host, P['apiPort'], '/health') for host in P['hostAddresses']])`,
    'host',
    { refusedWith: unanswered },
  ),
  asks(
    'connects to every usual port of its gateway',
    `any_of([lambda port=port: connect('10.11.0.1', port, seconds=0.2) for port in (22, 53, 80, 111, 443, P['apiPort'])])`,
    { none: 'the host has no such address' },
    { refusedWith: [...unanswered, 'timed out'] },
  ),
  asks(
    'connects to a neighbor at its address on the host',
    `any_of([lambda host=host: connect(host, P['neighborPort'], seconds=0.2) for host in P['sandboxAddresses']])`,
    { none: 'the host itself has no route into a sandbox' },
    { refusedWith: [...unanswered, 'timed out'] },
  ),
  asks(
    'connects to private networks',
    `any_of([lambda host=host: connect(host, 80, seconds=0.2) for host in ('10.0.0.1', '192.168.0.1', '172.16.0.1', '100.64.0.1', '198.18.0.1', '0.0.0.0')])`,
    { none: 'which of them exist differs' },
    { refusedWith: [...unanswered, 'timed out'] },
  ),
  asks(
    'uses a name that first leads outside and then to metadata (DNS rebinding)',
    `answers = [P['publicAddress'], '169.254.169.254']
get(answers.pop(0), 80, '/first')
return get(answers.pop(0), 80, '/' + P['reached'])`,
    'host',
    { refusedWith: unanswered },
  ),
  asks('opens a raw IP socket', `socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)`, 'opened'),
  asks('opens a raw ICMP socket', `socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)`, 'opened'),
  asks('opens a packet socket, as for forged ARP answers', `socket.socket(17, socket.SOCK_RAW, 0x0608)`, 'opened'),
  asks('opens a packet socket for datagrams', `socket.socket(17, socket.SOCK_DGRAM, 0x0300)`, 'opened'),
  asks(
    'changes its neighbor table (ARP)',
    `request = struct.pack('<HHI8x', 2, 0, int.from_bytes(socket.inet_aton('10.11.0.1'), 'little')) + struct.pack('<H', 1) + b'\\x02\\x66\\x66\\x66\\x66\\x66' + bytes(8) + struct.pack('<I', 6) + bytes(16) + b'eth0'.ljust(16, b'\\0')
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8955, request)`,
    { none: 'it would change the host' },
    { refusedWith: ['ENOTTY'] },
  ),
  asks('adds an address to its interface', `run('ip', 'addr', 'add', '203.0.113.77/32', 'dev', 'lo')`, 'opened'),
  asks('changes its routes', `run('ip', 'route', 'add', 'blackhole', '203.0.113.78/32')`, 'opened'),
  asks('takes its interface down', `run('ip', 'link', 'set', 'lo', 'down')`, 'opened'),
  asks('makes a new interface', `run('ip', 'link', 'add', 'rt0', 'type', 'veth')`, 'opened'),
  asks('enables IPv6', `write('/proc/sys/net/ipv6/conf/all/disable_ipv6', b'0')`, 'opened', {
    harmlessInOwnKernel: 'the setting is one of its own kernel',
  }),
  asks('opens the packet filter (netlink)', `socket.socket(16, 3, 12)`, 'opened'),
  asks('opens the audit system (netlink)', `socket.socket(16, 3, 9)`, { none: 'not every kernel has it' }),
  asks(
    'forges device events of the kernel',
    `opened = socket.socket(16, 3, 15)
opened.bind((0, 0))
opened.sendto(b'add@/devices/redteam\\0ACTION=add\\0', (0, 1))`,
    'opened',
    { refusedWith: ['ECONNREFUSED'] },
  ),
  asks('marks its packets as those of the host', `socket.socket().setsockopt(socket.SOL_SOCKET, 36, 1)`, 'opened', {
    harmlessInOwnKernel: 'marks stay in its own kernel',
  }),
  asks(
    'binds its socket to an interface of the host',
    `socket.socket().setsockopt(socket.SOL_SOCKET, 25, b'sb0x1\\0')`,
    {
      none: 'interfaces differ',
    },
  ),
  asks(
    'answers for addresses that are not its own',
    `opened = socket.socket()
opened.setsockopt(0, 19, 1)
opened.bind(('203.0.113.79', 80))`,
    'opened',
    {
      refusedWith: ['EADDRNOTAVAIL'],
    },
  ),
];
