// Tests each rule of the packet filter separately: with packets on the wire, another rule often gives the same outcome.
import { describe, expect, test } from 'vitest';
import { createAddressPlan } from './address-plan.ts';
import { findCidr } from './cidr.ts';
import { parseEgressPolicy } from './policy.ts';
import { clearPolicyText, policyText, rulesetText } from './ruleset.ts';

const plan = createAddressPlan(3);
const text = rulesetText({
  plan,
  denied: ['10.0.0.0/8', '169.254.0.0/16'].map((range) => findCidr(range) ?? { address: 0, prefix: 0 }),
  resolvers: ['10.9.9.9'],
  maxFlows: 77,
  egressUserId: 4711,
});

/** The lines of a chain in order, from the place where it is filled. Its first mention only declares it. */
function rulesOf(chain: string): string[] {
  const bodies = [...text.matchAll(new RegExp(`^  chain ${chain} \\{([^}]*(?:\\{[^}]*\\}[^}]*)*?)\\}$`, 'gm'))];
  const body = bodies.at(-1)?.[1] ?? '';
  return body
    .split(/[\n;]/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

describe('ranges that no sandbox reaches', () => {
  test('the set of the table contains the given ranges', () => {
    expect(text).toMatch(/^ {2}set denied .* elements = \{ 10\.0\.0\.0\/8, 169\.254\.0\.0\/16 \}; \}$/m);
  });
});

describe('hooks', () => {
  test.each([
    ['translate_in', 'type filter hook prerouting priority raw'],
    ['input', 'type filter hook input priority filter'],
    ['output', 'type filter hook output priority filter'],
    ['forward', 'type filter hook forward priority filter'],
    ['redirect_in', 'type nat hook prerouting priority dstnat'],
    ['masquerade_out', 'type nat hook postrouting priority srcnat'],
    ['translate_out', 'type filter hook postrouting priority srcnat + 10'],
  ])('%s is a %s', (chain, hook) => {
    expect(text).toContain(`  chain ${chain} { ${hook}; policy accept; }`);
  });

  test('every chain is emptied before it is filled, but the map of policies is kept', () => {
    const flushed = [...text.matchAll(/^flush chain inet soulbox_3 (\S+)$/gm)].map(([, chain]) => chain);
    const declared = [...text.matchAll(/^ {2}chain (\S+) \{ (?:type|\})/gm)].map(([, chain]) => chain);
    expect([...new Set(flushed)].sort()).toEqual([...new Set(declared)].sort());
    for (const set of ['addresses', 'denied', 'resolvers'])
      expect(text).toMatch(new RegExp(`^flush (set|map) inet soulbox_3 ${set}$`, 'm'));
    expect(text).not.toMatch(/^flush \S+ inet soulbox_3 (policies|redirects|flows)$/m);
  });
});

describe('protective rules', () => {
  test.each([
    ['translate_in', 'meta nfproto != ipv4 drop', 'IPv6 of a sandbox'],
    ['translate_in', 'ip saddr != 10.11.0.2 drop', 'forged sources'],
    ['translate_in', 'ip saddr set iifname map @addresses', 'one sandbox that takes the name of another'],
    ['input', 'iifname != "sb3x*" ip daddr 10.203.255.254 drop', 'neighbors that forge the address of a sandbox'],
    ['input', 'ct status & dnat == 0 goto refuse', 'the host itself'],
    ['input', 'ip daddr != 10.203.255.254 goto refuse', 'the host itself, if another program redirects packets to it'],
    ['input', 'ct state new add @flows { ip saddr ct count over 77 } goto refuse', 'too many connections to be judged'],
    ['output', 'meta skuid 4711 oifname != "sb3x*" goto from_egress', 'an egress process that was taken over'],
    ['from_egress', 'meta nfproto != ipv4 reject', 'IPv6 of the egress process'],
    ['from_egress', 'fib daddr type != unicast reject', 'the host itself, reached by the egress process'],
    ['from_egress', 'ip daddr @denied reject', 'closed ranges, reached by the egress process'],
    ['output', 'oifname "sb3x*" ct state != { established, related } drop', 'connections of the host into a sandbox'],
    ['forward', 'iifname "sb3x*" jump from_sandbox', 'all that a sandbox sends'],
    ['forward', 'oifname "sb3x*" jump to_sandbox', 'all that a sandbox gets'],
    ['from_sandbox', 'meta nfproto != ipv4 drop', 'IPv6'],
    ['from_sandbox', 'ct state invalid,untracked drop', 'packets of no connection'],
    ['from_sandbox', 'ct direction reply drop', 'answers to a connection from outside'],
    ['from_sandbox', 'oifname "sb3x*" goto refuse', 'other sandboxes'],
    ['from_sandbox', 'ip daddr @denied goto refuse', 'closed ranges'],
    ['permitted', 'ct original ip saddr vmap @policies', 'what the policy forbids'],
    ['permitted', 'ct state new add @flows { ip saddr ct count over 77 } goto refuse', 'too many connections'],
    ['to_sandbox', 'meta nfproto != ipv4 drop', 'IPv6 from outside'],
    ['to_sandbox', 'ct state != { established, related } drop', 'connections from outside'],
    ['to_sandbox', 'ct direction original drop', 'connections from outside that were let in before'],
    ['to_sandbox', 'ct original ip saddr vmap @policies', 'answers on a flow that the policy forbids now'],
    ['refuse', 'iifname "sb3x*" meta l4proto tcp reject with tcp reset', 'a wait for nothing'],
    ['refuse', 'drop', 'the rest'],
    [
      'masquerade_out',
      'ip saddr 10.203.0.0/16 oifname != "sb3x*" masquerade',
      'addresses that nobody outside can answer',
    ],
    ['translate_out', 'oifname "sb3x*" ip daddr 10.203.0.0/16 ip daddr set 10.11.0.2', 'an address unknown inside'],
  ])('%s: `%s` handles %s', (chain, rule) => {
    expect(rulesOf(chain)).toContain(rule);
  });

  test('only packets of a sandbox are translated', () => {
    expect(rulesOf('translate_in')[0]).toBe('iifname != "sb3x*" return');
  });

  test('packets are permitted only after every check, except packets to resolvers, and no other chain accepts packets', () => {
    const rules = rulesOf('from_sandbox');
    const resolvers = rules.indexOf('ip daddr . meta l4proto . th dport @resolvers goto permitted');
    const permits = rules.filter((rule) => rule.endsWith('goto permitted'));
    expect(permits).toEqual([rules[resolvers], 'goto permitted']);
    expect(rules.at(-1)).toBe('goto permitted');
    expect(rules.indexOf('ip daddr @denied goto refuse')).toBe(resolvers + 1);
    expect(rules.slice(0, resolvers)).toEqual([
      'meta nfproto != ipv4 drop',
      'ct state invalid,untracked drop',
      'ct direction reply drop',
      'oifname "sb3x*" goto refuse',
    ]);
    for (const chain of ['translate_in', 'redirect_in', 'output', 'forward', 'from_sandbox', 'to_sandbox', 'refuse'])
      expect(rulesOf(chain).filter((rule) => /\baccept\b/.test(rule))).toEqual([]);
  });

  test('the host takes only packets of a sandbox that it has redirected to the egress process', () => {
    expect(rulesOf('input')).toEqual([
      'iifname != "sb3x*" ip daddr 10.203.255.254 drop',
      'iifname != "sb3x*" return',
      'ct status & dnat == 0 goto refuse',
      'ip daddr != 10.203.255.254 goto refuse',
      'udp dport 5353 jump limit_lookups',
      'meta l4proto tcp ct state new jump limit_connections',
      'ct state new add @flows { ip saddr ct count over 77 } goto refuse',
      'accept',
    ]);
    expect(rulesOf('redirect_in')).toEqual(['iifname != "sb3x*" return', 'ip saddr vmap @redirects']);
  });

  test('what one sandbox sends to the egress process is limited, and beyond a small part also what all send', () => {
    expect(rulesOf('limit_lookups')).toEqual([
      'add @lookups_own { ip saddr limit rate 20/second burst 20 packets } return',
      'add @lookups_more { ip saddr limit rate 480/second burst 180 packets } limit rate 2000/second burst 300 packets return',
      'drop',
    ]);
    expect(rulesOf('limit_connections')).toEqual([
      'add @connections_own { ip saddr limit rate 20/second burst 20 packets } return',
      'add @connections_more { ip saddr limit rate 980/second burst 1980 packets } limit rate 2000/second burst 3000 packets return',
      'goto refuse',
    ]);
    // One element each for every slot: a set that is full would refuse the next sandbox everything.
    for (const set of ['lookups_own', 'lookups_more', 'connections_own', 'connections_more'])
      expect(text).toContain(`set ${set} { type ipv4_addr; size 4095; flags dynamic; }`);
  });

  test('the policy and the connection limit are checked before a packet is let out', () => {
    const rules = rulesOf('permitted');
    expect(rules.at(-1)).toBe('accept');
    expect(rules[0]).toBe('ct original ip saddr vmap @policies');
    expect(rules[1]).toContain('@flows');
  });

  test('a resolver is open by TCP and UDP on port 53, and without one its set is not filled', () => {
    expect(text).toContain('elements = { 10.9.9.9 . tcp . 53, 10.9.9.9 . udp . 53 }');
    expect(rulesetText({ plan, denied: [], resolvers: [], maxFlows: 1 }).match(/set resolvers/g)).toHaveLength(1);
  });

  test('every slot has its address', () => {
    const elements = /map addresses .*elements = \{ (.*) \}; \}/.exec(text)?.[1]?.split(', ') ?? [];
    expect(elements).toHaveLength(4095);
    expect([elements[0], elements[256], elements.at(-1)]).toEqual([
      '"sb3x1" : 10.203.0.1',
      '"sb3x257" : 10.203.1.1',
      '"sb3x4095" : 10.203.15.255',
    ]);
  });
});

describe('the policy of a slot', () => {
  const rulesFor = (policy: Parameters<typeof parseEgressPolicy>[0]): string[] =>
    policyText(plan, 5, parseEgressPolicy(policy))
      .split('\n')
      .filter((line) => line.startsWith('add rule inet soulbox_3 policy_5 '))
      .map((line) => line.replace('add rule inet soulbox_3 policy_5 ', ''));
  const redirectsFor = (policy: Parameters<typeof parseEgressPolicy>[0], hasEgress = true): string[] =>
    policyText(plan, 5, parseEgressPolicy(policy), hasEgress)
      .split('\n')
      .filter((line) => line.startsWith('add rule inet soulbox_3 redirect_5 '))
      .map((line) => line.replace('add rule inet soulbox_3 redirect_5 ', ''));
  const lookups = ['udp dport 53 dnat ip to 10.203.255.254:5353', 'tcp dport 53 dnat ip to 10.203.255.254:5353'];

  test('a closed policy refuses everything', () => {
    expect(rulesFor({ allowInternetAccess: false })).toEqual(['goto refuse']);
  });

  test('allowed targets pass first, judged by the destination that the sandbox chose', () => {
    expect(rulesFor({ allowInternetAccess: false, allowOut: ['8.8.8.8', '1.1.1.0/24'] })).toEqual([
      'ct original ip daddr { 1.1.1.0/24, 8.8.8.8 } return',
      'goto refuse',
    ]);
    expect(rulesFor({ allowOut: ['8.8.8.8'], denyOut: ['8.8.0.0/16'] })).toEqual([
      'ct original ip daddr { 8.8.8.8 } return',
      'ct original ip daddr { 8.8.0.0/16 } goto refuse',
    ]);
  });

  test('ports are judged with the ranges that have them', () => {
    expect(
      rulesFor({ allowInternetAccess: false, allowOut: ['8.8.8.8:443', '9.0.0.0/8:1-99', '8.8.8.0/24:443'] }),
    ).toEqual([
      'meta l4proto { tcp, udp } ct original proto-dst 443-443 ct original ip daddr { 8.8.8.0/24 } return',
      'meta l4proto { tcp, udp } ct original proto-dst 1-99 ct original ip daddr { 9.0.0.0/8 } return',
      'goto refuse',
    ]);
    expect(rulesFor({ denyOut: ['0.0.0.0/0:25'] })).toEqual([
      'meta l4proto { tcp, udp } ct original proto-dst 25-25 ct original ip daddr { 0.0.0.0/0 } goto refuse',
    ]);
  });

  test('the look-ups of a sandbox with a policy are redirected, except to allowed addresses', () => {
    expect(redirectsFor({ denyOut: ['9.9.9.9'] })).toEqual(lookups);
    expect(redirectsFor({ allowInternetAccess: false, allowOut: ['8.8.8.8'] })).toEqual([
      'ip daddr { 8.8.8.8 } return',
      ...lookups,
    ]);
    expect(redirectsFor({ allowInternetAccess: false }, false)).toEqual([]);
  });

  test('all TCP of an inspected policy is redirected, and what is not redirected is refused', () => {
    const policy = { denyOut: ['0.0.0.0/0'], allowOut: ['example.com', '8.8.8.8'] };
    expect(redirectsFor(policy)).toEqual([
      ...lookups,
      'meta l4proto tcp ip daddr != @denied dnat ip to 10.203.255.254:5380',
    ]);
    expect(rulesFor(policy)).toEqual([
      'meta l4proto tcp goto refuse',
      'meta l4proto udp ct original proto-dst { 80, 443 } goto refuse',
      'ct original ip daddr { 8.8.8.8 } return',
      'goto refuse',
    ]);
  });

  test('a policy with limits lets only TCP out', () => {
    const limits = { bytes: 1, connections: 0, connectionsPerSecond: 0, bytesPerSecond: 0 };
    expect(rulesFor({ limits }).slice(0, 2)).toEqual(['meta l4proto tcp goto refuse', 'goto refuse']);
  });

  test('one transaction empties the chain, fills it and enables it for the address of the slot', () => {
    const lines = policyText(plan, 5, parseEgressPolicy({ allowInternetAccess: false })).split('\n');
    expect(lines).toEqual([
      'add chain inet soulbox_3 policy_5',
      'flush chain inet soulbox_3 policy_5',
      'add rule inet soulbox_3 policy_5 goto refuse',
      'add chain inet soulbox_3 redirect_5',
      'flush chain inet soulbox_3 redirect_5',
      ...lookups.map((rule) => `add rule inet soulbox_3 redirect_5 ${rule}`),
      'add element inet soulbox_3 policies { 10.203.0.5 : jump policy_5 }',
      'add element inet soulbox_3 redirects { 10.203.0.5 : jump redirect_5 }',
      '',
    ]);
  });

  test('an open policy leaves neither chain nor element', () => {
    const cleared = clearPolicyText(plan, 5);
    expect(policyText(plan, 5, parseEgressPolicy({}))).toBe(cleared);
    const lines = cleared.split('\n');
    expect(lines).toEqual([
      'add chain inet soulbox_3 redirect_5',
      'add element inet soulbox_3 redirects { 10.203.0.5 : jump redirect_5 }',
      'delete element inet soulbox_3 redirects { 10.203.0.5 : jump redirect_5 }',
      'flush chain inet soulbox_3 redirect_5',
      'delete chain inet soulbox_3 redirect_5',
      'add chain inet soulbox_3 policy_5',
      'add element inet soulbox_3 policies { 10.203.0.5 : jump policy_5 }',
      'delete element inet soulbox_3 policies { 10.203.0.5 : jump policy_5 }',
      'flush chain inet soulbox_3 policy_5',
      'delete chain inet soulbox_3 policy_5',
      '',
    ]);
  });
});

test('a policy that learns refuses no datagrams by its entries', () => {
  const learning = parseEgressPolicy({ denyOut: ['0.0.0.0/0', '203.0.113.7'], allowOut: ['a.example'], learn: true });
  expect(policyText(plan, 1, learning)).not.toMatch(/daddr \{ (0\.0\.0\.0|203)/);
});

describe('the log of connections', () => {
  const logged = rulesetText({ plan, denied: [], resolvers: [], maxFlows: 77, logGroup: 23_003 });
  const bodyOf = (chain: string): string[] => {
    const body = new RegExp(`^ {2}chain ${chain} \\{\\n(.*?)\\n {2}\\}$`, 'ms').exec(logged)?.[1] ?? '';
    return body.split('\n').map((line) => line.trim());
  };

  test('only new connections that are permitted cause events, and no more than the limit', () => {
    // Behind all checks: what is refused causes none.
    expect(bodyOf('permitted').slice(-3)).toEqual([
      'ct state new ct status & confirmed == 0 jump log_flow',
      'tcp flags syn tcp option maxseg size set rt mtu',
      'accept',
    ]);
  });

  test('a sandbox has a small part of the log, more only while all together stay below a limit, and the rest is counted', () => {
    expect(bodyOf('log_flow')).toEqual([
      'ct event set 0x0',
      'add @logged_own { ip saddr limit rate 10/second burst 20 packets } ct event set destroy,protoinfo return',
      'add @logged_more { ip saddr limit rate 90/second burst 980 packets } limit rate 2000/second burst 2000 packets ct event set destroy,protoinfo return',
      'add @unlogged { ip saddr counter }',
    ]);
    expect(bodyOf('log_refusal')).toEqual([
      'add @refusals_own { ip saddr limit rate 2/second burst 20 packets } goto tell_refusal',
      'add @refusals_more { ip saddr limit rate 18/second burst 180 packets } limit rate 500/second burst 1000 packets goto tell_refusal',
      'add @unlogged_refusals { ip saddr counter }',
    ]);
  });

  test('connections that were redirected cause no events, because the egress process records them', () => {
    expect(logged).toMatch(/ct state new ct event set 0x0\n\s*accept\n\s*\}\n\s*chain limit_lookups/);
  });

  test('without a log nothing is told', () => {
    expect(text).not.toMatch(/ct event|group|jump log_flow/);
  });
});
