import type { Check, Finding } from '../finding.ts';
import { sameFix } from '../finding.ts';
import { probe } from '../probe.ts';

const ruleset = `table inet soulbox_probe {
  set denied { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }
  chain forward { type filter hook forward priority 0; ct state established accept; ip daddr @denied drop; }
  chain post { type nat hook postrouting priority 100; ip saddr 10.0.0.2 masquerade; }
}
`;

/** Tries a veth pair and the kinds of nft rules that sandboxes use, in a separate network namespace. */
export const checkNetwork: Check = async () => {
  const [veth, nft] = await Promise.all([
    probe(['--net'], ['ip', 'link', 'add', 'soulprobe0', 'type', 'veth', 'peer', 'name', 'soulprobe1']),
    probe(['--net'], ['nft', '-f', '-'], ruleset),
  ]);
  const protects = 'the network of sandboxes and its separation from the host';
  const findings: Finding[] = [
    veth.ok
      ? { id: 'veth', title: 'veth interfaces', status: 'ok', detail: 'work', protects }
      : {
          id: 'veth',
          title: 'veth interfaces',
          status: 'fail',
          detail: veth.why,
          protects,
          fix: sameFix('modprobe veth'),
        },
    nft.ok
      ? { id: 'nftables', title: 'nftables rules', status: 'ok', detail: 'filter, sets and NAT work', protects }
      : {
          id: 'nftables',
          title: 'nftables rules',
          status: 'fail',
          detail: nft.why,
          protects,
          fix: sameFix('install nftables; then modprobe nf_tables nft_ct nft_masq nft_nat'),
        },
  ];
  return findings;
};
