import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { NetlinkError, createNetlinkSocket, netlinkAttribute, netlinkFlags, netlinkProtocol } from './netlink.ts';
import type { NetlinkRequest } from './netlink.ts';

// linux/rtnetlink.h, linux/if_link.h
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const IFLA_IFNAME = 3;
const AF_UNSPEC_HEADER = Buffer.alloc(16);

const named = (type: number, name: string, flags = 0): NetlinkRequest => ({
  type,
  flags: netlinkFlags.request | flags,
  body: Buffer.concat([AF_UNSPEC_HEADER, netlinkAttribute(IFLA_IFNAME, Buffer.from(`${name}\0`))]),
  what: `${type} ${name}`,
});
const indexOf = (body: Buffer | undefined): number | undefined => body?.readInt32LE(4);
const interfaces = (): number =>
  readFileSync('/proc/net/dev', 'utf8')
    .split('\n')
    .filter((line) => line.includes(':')).length;

describe('a netlink socket', () => {
  test('returns the answers of several requests in order', async () => {
    using socket = createNetlinkSocket(netlinkProtocol.route);
    const answers = await socket.ask([named(RTM_GETLINK, 'lo'), named(RTM_GETLINK, 'lo')]);
    expect(answers.map(({ type, body }) => [type, indexOf(body)])).toEqual([
      [16, 1],
      [16, 1],
    ]);
  });

  test('throws the error number of a request that the kernel refuses, and names the request', async () => {
    using socket = createNetlinkSocket(netlinkProtocol.route);
    const asked = socket.ask([named(RTM_GETLINK, 'lo'), named(RTM_GETLINK, 'none-such')]);
    await expect(asked).rejects.toThrow(NetlinkError);
    await expect(asked).rejects.toMatchObject({
      message: `the kernel refused "18 none-such": errno ${constants.errno.ENODEV}`,
      errno: constants.errno.ENODEV,
    });
    // No answer is left in the socket that the next request could mistake for its own.
    expect(indexOf((await socket.ask([named(RTM_GETLINK, 'lo')]))[0]?.body)).toBe(1);
  });

  test('throws for a refused request on this thread, too', () => {
    using socket = createNetlinkSocket(netlinkProtocol.route);
    expect(() => socket.askNow(named(RTM_DELLINK, 'none-such', netlinkFlags.acknowledge))).toThrow(NetlinkError);
  });

  test('lists all entries of a dump', () => {
    using socket = createNetlinkSocket(netlinkProtocol.route);
    const request = { type: RTM_GETLINK, flags: netlinkFlags.request | netlinkFlags.dump, body: AF_UNSPEC_HEADER };
    const entries = socket.dump({ ...request, what: 'list links' });
    expect(entries.map(indexOf)).toContain(1);
    expect(entries).toHaveLength(interfaces());
  });

  test('throws if a dump is refused', () => {
    using socket = createNetlinkSocket(netlinkProtocol.route);
    const request = { type: 0x7ff0, flags: netlinkFlags.request | netlinkFlags.dump, body: AF_UNSPEC_HEADER };
    expect(() => socket.dump({ ...request, what: 'list nothing' })).toThrow('the kernel refused "list nothing"');
  });
});

test('an attribute is padded to four bytes, and its length does not count the padding', () => {
  expect([...netlinkAttribute(7, Buffer.from('abc'))]).toEqual([7, 0, 7, 0, 0x61, 0x62, 0x63, 0]);
  expect([...netlinkAttribute(7, Buffer.from('abcd'))]).toEqual([8, 0, 7, 0, 0x61, 0x62, 0x63, 0x64]);
});
