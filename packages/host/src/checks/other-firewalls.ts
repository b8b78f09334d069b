import { run } from '@soulbox/base';
import type { Check, Finding } from '../finding.ts';
import { sameFix } from '../finding.ts';

/**
 * Docker and ufw set the FORWARD chain to drop, and firewalld rejects in a chain of its own. An accept of ours cannot
 * override them, so sandboxes would not reach the outside.
 */
export const checkOtherFirewalls: Check = async () => {
  const [forward, firewalld] = await Promise.all([
    run('nft', ['list', 'chain', 'ip', 'filter', 'FORWARD'], { timeoutMs: 10_000 }).catch(() => ''),
    run('nft', ['list', 'chain', 'inet', 'firewalld', 'filter_FORWARD'], { timeoutMs: 10_000 }).catch(() => ''),
  ]);
  return judgeFirewalls(forward, firewalld);
};

export function judgeFirewalls(forward: string, firewalld: string): Finding {
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
  return { ...base, status: 'ok', detail: 'none blocks the packets of sandboxes' };
}
