import { lookup } from 'node:dns/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Check } from '../finding.ts';

/**
 * Names below `localhost` must resolve to this machine in every program, not only in browsers. E2B_DOMAIN needs that.
 */
export const checkLocalhostNames: Check = async () => {
  const base = {
    id: 'localhost-names',
    title: 'Names under .localhost',
    protects: 'access over TLS with E2B_DOMAIN=soulbox.localhost on this machine',
  };
  const address = await Promise.race([
    lookup('probe.soulbox.localhost').then(
      (found) => found.address,
      () => undefined,
    ),
    // A resolver that does not answer must not delay everything.
    sleep(200, undefined, { ref: false }),
  ]);
  if (address === '127.0.0.1' || address === '::1') return { ...base, status: 'ok', detail: address };
  return {
    ...base,
    status: 'warn',
    detail: address === undefined ? 'they do not resolve' : `they resolve to ${address}`,
    fix: {
      debian: 'apt-get install libnss-myhostname',
      fedora: 'dnf install systemd-libs, and list myhostname in the hosts line of /etc/nsswitch.conf',
      alpine: 'not needed: musl resolves them since Alpine 3.18',
      arch: 'list myhostname in the hosts line of /etc/nsswitch.conf',
    },
  };
};
