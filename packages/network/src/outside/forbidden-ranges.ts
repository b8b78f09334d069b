/**
 * The one table of addresses outside the public internet (IANA's special-purpose registries, and addresses that clouds
 * use for the host's own platform). No sandbox reaches them, and the host connects to them for nobody: not for a
 * webhook, not for an image. The host's own addresses are forbidden, too; the kernel knows those
 * (`local-addresses.ts`).
 */
export const forbiddenIpv4 = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private, RFC 1918
  '100.64.0.0/10', // carrier-grade NAT, RFC 6598; also Alibaba's metadata service 100.100.100.200
  '127.0.0.0/8', // loopback
  '168.63.129.16', // Azure's WireServer: a public address of the host's platform
  '169.254.0.0/16', // link-local: the metadata services of most clouds
  '172.16.0.0/12', // private
  '192.0.0.0/24', // IETF protocol assignments; Oracle's metadata service 192.0.0.192
  '192.88.99.0/24', // formerly the relays of 6to4, RFC 7526
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarking, RFC 2544
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and the limited broadcast 255.255.255.255
] as const;

/**
 * Of IPv6 only globally routed addresses are open. So nothing else needs a row: not loopback, not private or link-local
 * addresses (fd00:ec2::254), and not IPv4 embedded in IPv6 (`::ffff:10.0.0.1`, `::10.0.0.1`, `64:ff9b::10.0.0.1`).
 */
export const openIpv6 = '2000::/3';

/** Ranges within `openIpv6` that are not global, or that contain an IPv4 address. */
export const forbiddenIpv6 = [
  '2001::/23', // protocol assignments, including Teredo
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4: an IPv4 address in IPv6
  '3fff::/20', // documentation
] as const;
