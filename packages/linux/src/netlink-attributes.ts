/** Set in the type of an attribute that contains attributes (linux/netlink.h: NLA_F_NESTED, NLA_F_NET_BYTEORDER). */
const flagBits = 0xc000;
const headerBytes = 4;

/** An attribute of a netlink message: its value, and all of its bytes, to send it back as it is. */
export interface NetlinkAttribute {
  readonly value: Buffer;
  readonly bytes: Buffer;
}

/** The attributes of a message or of another attribute, by type. What is cut off at the end is left out. */
export function readNetlinkAttributes(data: Buffer): Map<number, NetlinkAttribute> {
  const attributes = new Map<number, NetlinkAttribute>();
  for (let at = 0; at + headerBytes <= data.length;) {
    const length = data.readUInt16LE(at);
    if (length < headerBytes || at + length > data.length) break;
    const end = (at + length + 3) & ~3;
    attributes.set(data.readUInt16LE(at + 2) & ~flagBits, {
      value: data.subarray(at + headerBytes, at + length),
      bytes: data.subarray(at, end),
    });
    at = end;
  }
  return attributes;
}
