import { create } from '@bufbuild/protobuf';
import { SoulBoxError } from '@soulbox/base';
import type { EgressRecords } from '@soulbox/contract/egress-record-service';
import { NetworkPolicySchema } from '@soulbox/contract/runner';
import type { NetworkPolicy } from '@soulbox/contract/runner';
import { findPlaceholder, parseTemplate } from '@soulbox/egress-policies';
import type { Placeholder } from '@soulbox/egress-policies';
import { normalizeName } from '@soulbox/network/policy';
import type { SandboxRecord, SecretRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import { coversSecret } from '../secrets/hosts.ts';
import { placeOfVersion, secretNotFound } from '../secrets/schemas.ts';
import type { Deed } from '../trail/deed.ts';
import { findRule } from './find-rule.ts';
import { createRecent } from './recent.ts';
import type { Recent } from './recent.ts';

/** More than the headers of a rule can name. */
const placeholdersMax = 200;

/**
 * A rule that sends a secret is recorded once in this time, because each connection asks: a sandbox must not be able to
 * fill the audit log of its team. Milliseconds.
 */
const recordedForMs = 5000;
/** About 2 MB. */
const recordedMax = 10_000;

/**
 * The values of placeholders for the egress process. A use is in the audit log before its value leaves; without room in
 * the log, no value leaves. Throws `secret_not_found`, `secret_host_refused`, `sandbox_not_found`, `bad_request`, and what
 * the audit log throws.
 *
 * The egress process faces hostile bytes. Who takes it over can invent names of connections, but gets no more than the
 * rules of the present policies name, for hosts for which the secret may be used.
 */
export function createPlaceholderResolver(context: ApiContext): EgressRecords['resolve'] {
  const recorded = createRecent(context.clock, { lifeMs: recordedForMs, max: recordedMax });
  return async (request) => {
    const { sandboxId, teamId, placeholders } = request;
    if (placeholders.length > placeholdersMax)
      throw new SoulBoxError('bad_request', 'The request names too many placeholders.');
    const sandbox = await context.records.sandboxes.find(sandboxId);
    if (sandbox === undefined || sandbox.teamId !== teamId || sandbox.state === 'ended')
      throw new SoulBoxError('sandbox_not_found', `Sandbox "${sandboxId}" was not found.`);
    const policy = await policyInRunner(context, sandboxId);
    const name = normalizeName(request.name);
    const rule = name === undefined ? undefined : findRule(policy.rules, name);
    if (name === undefined || rule === undefined)
      throw new SoulBoxError('bad_request', 'No rule of the sandbox covers the host of the connection.');
    const named = placeholdersOf(rule.headers);
    const values: Record<string, string> = {};
    for (const text of new Set(placeholders)) {
      const placeholder = findPlaceholder(text);
      if (placeholder === undefined || !named.has(text))
        throw new SoulBoxError('bad_request', `No rule for the host names "${text.slice(0, 100)}".`);
      values[text] =
        placeholder.kind === 'secret'
          ? await revealSecret(context, sandbox, placeholder, { name, rule: rule.host, recorded })
          : await issueToken(context, sandbox, placeholder, {
              ...{ declared: policy.identityTokens, host: rule.host, recorded },
            });
    }
    return values;
  };
}

/** The present policy of the sandbox, from the runner: what the egress process says of it is not trusted. */
async function policyInRunner({ runner }: ApiContext, sandboxId: string): Promise<NetworkPolicy> {
  const { sandbox } = await callRunner((options) => runner.getSandbox({ sandboxId }, options));
  return sandbox?.network ?? create(NetworkPolicySchema);
}

function placeholdersOf(headers: Readonly<Record<string, string>>): Set<string> {
  const parts = Object.values(headers).flatMap((value) => parseTemplate(value));
  return new Set(parts.flatMap((part) => (part.kind === 'placeholder' ? [part.name] : [])));
}

/** Where a value is to go. */
interface Destination {
  /** The host of the connection, in the form of `normalizeName`. */
  readonly name: string;
  /** The host of the rule: the name, or `*.domain`. */
  readonly rule: string;
  readonly recorded: Recent;
}

async function revealSecret(
  context: ApiContext,
  sandbox: SandboxRecord,
  { name }: Placeholder,
  destination: Destination,
): Promise<string> {
  const { records, keyring, trail } = context;
  const secret = await records.secrets.findByName(sandbox.teamId, name.toLowerCase());
  if (secret === undefined) throw secretNotFound(name);
  if (!coversSecret(secret.hosts, destination.name, context.config.secretsNeedHosts))
    throw await refuseHost(context, sandbox, secret, destination);
  const { id, currentVersion } = secret;
  const sealed = await records.secrets.findSealedValue(id, currentVersion);
  if (sealed === undefined) throw secretNotFound(name);
  const host = destination.rule;
  await destination.recorded.once(['use', sandbox.id, id, currentVersion, host].join(' '), async () => {
    await trail.admit({
      ...useOf(sandbox),
      action: 'secret.use',
      target: { kind: 'secret', id },
      facts: { sandbox: sandbox.id, version: currentVersion, host },
    });
  });
  return (await keyring.open(sealed, placeOfVersion(secret, currentVersion))).reveal();
}

/** Records that the secret was not sent, once in a while for each rule, with the first host. Returns the error. */
async function refuseHost(
  { trail }: ApiContext,
  sandbox: SandboxRecord,
  { id, name, currentVersion }: SecretRecord,
  { name: host, rule, recorded }: Destination,
): Promise<SoulBoxError> {
  await recorded.once(['refuse', sandbox.id, id, rule].join(' '), async () => {
    const facts = { sandbox: sandbox.id, version: currentVersion, host };
    const deed = { ...useOf(sandbox), action: 'secret.use', target: { kind: 'secret', id }, facts };
    await trail.tell({ ...deed, rule: 'secret_host' }, 'event', { status: 'failure', code: 403 });
  });
  return new SoulBoxError('secret_host_refused', `The secret "${name}" must not be sent to ${host}.`);
}

async function issueToken(
  { identityTokens, trail }: ApiContext,
  sandbox: SandboxRecord,
  { name }: Placeholder,
  {
    declared,
    host,
    recorded,
  }: { readonly declared: NetworkPolicy['identityTokens']; readonly host: string; readonly recorded: Recent },
): Promise<string> {
  const token = Object.hasOwn(declared, name) ? declared[name] : undefined;
  if (token === undefined) throw new SoulBoxError('bad_request', `The sandbox declares no identity token "${name}".`);
  const target = { kind: 'sandbox', id: sandbox.id };
  await recorded.once(['issue', sandbox.id, name, host].join(' '), async () => {
    await trail.admit({ ...useOf(sandbox), action: 'identity.issue', target, facts: { host } });
  });
  const { teamId, templateId, id: sandboxId } = sandbox;
  return await identityTokens.issue({ teamId, templateId, sandboxId }, token.audience);
}

/** The sandbox asks for it, by the policy that a key of the team has given it. */
function useOf({ teamId }: SandboxRecord): Omit<Deed, 'action' | 'target'> {
  return { teamId, class: 'security', scope: 'sandbox', rule: 'policy', actor: { kind: 'server', id: 'egress' } };
}
