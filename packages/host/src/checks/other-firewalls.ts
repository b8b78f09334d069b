import { run } from '@soulbox/base';
import type { Check, Finding } from '../finding.ts';
import { sameFix } from '../finding.ts';

/**
 * Docker and ufw set the FORWARD chain to drop, and firewalld rejects in a chain of its own. An accept of ours cannot
 * override them, so sandboxes would not reach the outside. An INPUT chain that drops affects those with a network policy,
 * whose packets go to the egress process of this host.
 */
export const checkOtherFirewalls: Check = async () => {
  const chain = async (...place: string[]): Promise<string> =>
    await run('nft', ['list', 'chain', ...place], { timeoutMs: 10_000 }).catch(() => '');
  const [forward, firewalld, input] = await Promise.all([
    chain('ip', 'filter', 'FORWARD'),
    chain('inet', 'firewalld', 'filter_FORWARD'),
    chain('ip', 'filter', 'INPUT'),
  ]);
  return judgeFirewalls(forward, firewalld, input);
};

export function judgeFirewalls(forward: string, firewalld: string, input = ''): Finding {
  const base = {
    id: 'other-firewalls',
    title: 'Other firewalls',
    protects: 'internet access of sandboxes',
  };
  const accepted = /iifname "sb[^"]*" .*accept/.test(forward) || /DOCKER-USER/.test(forward);
  if (/policy drop/.test(forward)) {
    const chain = accepted ? 'DOCKER-USER' : 'FORWARD';
    return {
      ...base,
      status: 'warn',
      detail:
        'the FORWARD chain drops packets by default (Docker and ufw do this): sandboxes may not have internet access',
      fix: sameFix(`iptables -I ${chain} -i sb+ -j ACCEPT; iptables -I ${chain} -o sb+ -j ACCEPT`),
    };
  }
  if (firewalld.includes('reject')) {
    return {
      ...base,
      status: 'warn',
      detail: 'firewalld is active: it may reject packets of sandboxes',
      fix: sameFix('firewall-cmd --permanent --new-policy or a zone that accepts the interfaces sb*'),
    };
  }
  if (/policy drop/.test(input) && !/iifname "sb[^"]*" .*accept/.test(input)) {
    return {
      ...base,
      status: 'warn',
      detail: 'the INPUT chain drops packets by default: sandboxes with a network policy may not reach anything',
      // Our own table then still refuses everything except what it has redirected.
      fix: sameFix('iptables -I INPUT -i sb+ -j ACCEPT'),
    };
  }
  return { ...base, status: 'ok', detail: 'none blocks the packets of sandboxes' };
}
