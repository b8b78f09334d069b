/** Why a connection of a sandbox was refused, ended before its time, or is not in the log. docs/network.md prints the list. */
export const egressReasons = {
  not_allowed: 'No entry of the policy allows the destination, and the policy is closed.',
  denied: 'An entry of `denyOut` covers the destination.',
  forbidden_address: 'The address, or the address of the name, is private, local or reserved.',
  no_name: 'Only a name could have allowed the connection, and the first bytes named none.',
  name_mismatch: 'The name inside the connection is not the one that was judged.',
  name_unknown: 'The name has no address.',
  request_not_allowed: 'No entry of `requests` covers the method and path.',
  placeholder_failed: 'A placeholder of a header rule could not be resolved.',
  secret_host_refused: 'A secret of a header rule must not be sent to the host of the connection.',
  upstream_failed: 'The destination did not accept the connection.',
  upstream_certificate: 'The certificate of the destination is not valid for the name.',
  proxy_failed: 'The egress proxy did not connect.',
  byte_limit: 'The byte limit of the policy is used up.',
  connection_limit: 'The policy, or the server, allows no more open connections.',
  rate_limit: 'The policy allows no more connections per second.',
  tunnel_suspected: 'The look-ups have the form of data that is tunnelled through DNS.',
  query_type: 'Look-ups of this type are not answered.',
  not_logged: 'Not one connection but `count`, which were too many to be recorded one by one.',
  log_gap: 'No connection: others that ended in this time may be missing.',
  policy_changed: 'The policy was replaced by one that does not allow the connection.',
} as const satisfies Record<string, string>;

export type EgressReason = keyof typeof egressReasons;
