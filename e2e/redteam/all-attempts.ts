import type { Attempt } from './attempt.ts';
import { policedAddresses } from './inside/egress/addresses.ts';
import { policedConnections } from './inside/egress/connections.ts';
import { interceptionAttempts } from './inside/egress/interception.ts';
import { policedLookups } from './inside/egress/lookups.ts';
import { hostFiles } from './inside/host-files.ts';
import { kernelCalls } from './inside/kernel-calls.ts';
import { network } from './inside/network.ts';
import { privileges } from './inside/privileges.ts';
import { processes } from './inside/processes.ts';
import { alarm } from './scenes/alarm.ts';
import { builds } from './scenes/builds.ts';
import { changedPolicies } from './scenes/egress/changes.ts';
import { egressFloods } from './scenes/egress/floods.ts';
import { identities } from './scenes/egress/identities.ts';
import { proxies } from './scenes/egress/proxies.ts';
import { smugglingOut } from './scenes/egress/smuggling-out.ts';
import { envdAttempts } from './scenes/envd.ts';
import { floods } from './scenes/floods.ts';
import { http2 } from './scenes/http2.ts';
import { keys } from './scenes/keys.ts';
import { namedAddresses } from './scenes/named-addresses.ts';
import { outsiders } from './scenes/outsiders.ts';
import { requests } from './scenes/requests.ts';
import { setuid } from './scenes/setuid.ts';
import { signIns } from './scenes/sign-in.ts';
import { slowClients } from './scenes/slow-clients.ts';
import { smuggling } from './scenes/smuggling.ts';
import { startUp } from './scenes/start-up.ts';
import { tenants } from './scenes/tenants.ts';
import { foreignVolumes } from './scenes/volumes/foreign-volumes.ts';
import { plantedPaths } from './scenes/volumes/planted-paths.ts';
import { sharedFiles } from './scenes/volumes/shared-files.ts';
import { bucketStores } from './scenes/buckets/stores.ts';
import { bucketPrefixes } from './scenes/buckets/prefixes.ts';

/** Every attempt of the suite. */
export const allAttempts: readonly Attempt[] = [
  ...kernelCalls,
  ...privileges,
  ...hostFiles,
  ...processes,
  ...network,
  ...policedAddresses,
  ...policedConnections,
  ...policedLookups,
  ...interceptionAttempts,
  ...alarm,
  ...smuggling,
  ...http2,
  ...requests,
  ...tenants,
  ...keys,
  ...outsiders,
  ...signIns,
  ...changedPolicies,
  ...smugglingOut,
  ...proxies,
  ...identities,
  ...namedAddresses,
  ...foreignVolumes,
  ...plantedPaths,
  ...sharedFiles,
  ...bucketStores,
  ...bucketPrefixes,
  ...slowClients,
  ...builds,
  ...setuid,
  ...envdAttempts,
  ...startUp,
  ...floods,
  ...egressFloods,
];

/** The attempts of the short form: all programs inside, and the scenes that take a moment. */
export const quickAttempts: readonly Attempt[] = allAttempts.filter(
  (attempt) => attempt.kind === 'inside' || attempt.pace === 'quick',
);
