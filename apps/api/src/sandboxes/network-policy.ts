import type { MessageInitShape } from '@bufbuild/protobuf';
import type { NetworkPolicy, NetworkPolicySchema } from '@soulbox/contract/runner';
import { checkIdentityTokens, checkRules } from '@soulbox/egress-policies';
import { parseEgressPolicy } from '@soulbox/network/policy';
import type { z } from 'zod';
import type { Iam, NetworkUpdate, networkDetailSchema } from './network-schema.ts';

type PolicyMessage = MessageInitShape<typeof NetworkPolicySchema>;

/**
 * The runner's form of what concerns connections to the outside. Throws `bad_request` naming what is wrong, and
 * `limit_exceeded`.
 */
export function policyToRunner(network: NetworkUpdate, iam: Iam | undefined): PolicyMessage {
  const { allow_internet_access: allowInternetAccess, allowOut = [], denyOut = [], egressProxy, limits } = network;
  const rules = Object.fromEntries(
    Object.entries(network.rules ?? {}).flatMap(([host, [rule]]) =>
      rule === undefined ? [] : [[host, { headers: rule.transform?.headers ?? {}, requests: rule.requests ?? [] }]],
    ),
  );
  const policy = {
    ...(allowInternetAccess === undefined ? {} : { allowInternetAccess }),
    ...{ allowOut, denyOut, rules },
    ...(egressProxy === null || egressProxy === undefined
      ? {}
      : { egressProxy: { username: '', password: '', ...defined(egressProxy) } }),
    ...(limits === undefined
      ? {}
      : {
          limits: {
            bytes: BigInt(limits.bytes ?? 0),
            connections: limits.connections ?? 0,
            connectionsPerSecond: limits.connectionsPerSecond ?? 0,
            bytesPerSecond: BigInt(limits.bytesPerSecond ?? 0),
          },
        }),
    learn: network.learn ?? false,
    identityTokens: iam?.tokens ?? {},
  };
  parseEgressPolicy(policy);
  checkIdentityTokens(policy.identityTokens);
  checkRules(rules, policy.identityTokens);
  return policy;
}

/** Stands for the value of a header that the caller may not see. */
const hiddenValue = '***';

/**
 * As it was requested, but without the password of the proxy, which the runner does not return. `showsValues`: whether the
 * caller sees the values of headers, which may be credentials.
 */
export function policyFromRunner(
  policy: NetworkPolicy,
  { showsValues }: { readonly showsValues: boolean },
): z.infer<typeof networkDetailSchema> {
  const { allowOut, denyOut, rules, egressProxy, limits, learn, maskRequestHost, httpsPorts } = policy;
  const hosts = Object.entries(rules).map(([host, { headers, requests }]) => [
    host,
    [
      {
        ...(Object.keys(headers).length === 0
          ? {}
          : { transform: { headers: showsValues ? headers : hideValues(headers) } }),
        ...(requests.length === 0 ? {} : { requests: requests.map(({ methods, paths }) => ({ methods, paths })) }),
      },
    ],
  ]);
  return {
    ...(allowOut.length === 0 ? {} : { allowOut }),
    ...(denyOut.length === 0 ? {} : { denyOut }),
    ...(hosts.length === 0 ? {} : { rules: Object.fromEntries(hosts) as Record<string, []> }),
    ...(egressProxy === undefined ? {} : { egressProxy: proxyFromRunner(egressProxy) }),
    ...(limits === undefined ? {} : { limits: limitsFromRunner(limits) }),
    ...(learn ? { learn } : {}),
    allowPublicTraffic: policy.allowPublicTraffic ?? true,
    ...(maskRequestHost === '' ? {} : { maskRequestHost }),
    ...(httpsPorts.length === 0 ? {} : { httpsPorts }),
  };
}

function hideValues(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.keys(headers).map((name) => [name, hiddenValue]));
}

function proxyFromRunner({ address, username }: NonNullable<NetworkPolicy['egressProxy']>) {
  return { address, ...(username === '' ? {} : { username }) };
}

function limitsFromRunner(limits: NonNullable<NetworkPolicy['limits']>) {
  const { connections, connectionsPerSecond } = limits;
  const named = { bytes: Number(limits.bytes), connections, connectionsPerSecond };
  const all = { ...named, bytesPerSecond: Number(limits.bytesPerSecond) };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value > 0));
}

/** Leaves out what is undefined. */
function defined(proxy: NonNullable<NetworkUpdate['egressProxy']>) {
  const { address, username, password } = proxy;
  return {
    address,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
}
