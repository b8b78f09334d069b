import { create } from '@bufbuild/protobuf';
import { SoulBoxError } from '@soulbox/base';
import type { EgressRecords } from '@soulbox/contract/egress-record-service';
import { NetworkPolicySchema } from '@soulbox/contract/runner';
import type { NetworkPolicy } from '@soulbox/contract/runner';
import { findPlaceholder, parseTemplate } from '@soulbox/egress-policies';
import type { Placeholder } from '@soulbox/egress-policies';
import type { SandboxRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import { placeOfVersion, secretNotFound } from '../secrets/schemas.ts';
import type { Deed } from '../trail/deed.ts';

/** More than the headers of a rule can name. */
const placeholdersMax = 200;

/**
 * The values of placeholders for the egress process. Each use is in the audit log before its value leaves; without room
 * in the log, no value leaves. Throws `secret_not_found`, `sandbox_not_found`, `bad_request`, and what the audit log
 * throws.
 */
export function createPlaceholderResolver(context: ApiContext): EgressRecords['resolve'] {
  return async (request) => {
    const { sandboxId, teamId, placeholders, host } = request;
    if (placeholders.length > placeholdersMax)
      throw new SoulBoxError('bad_request', 'The request names too many placeholders.');
    const sandbox = await context.records.sandboxes.find(sandboxId);
    if (sandbox === undefined || sandbox.teamId !== teamId || sandbox.state === 'ended')
      throw new SoulBoxError('sandbox_not_found', `Sandbox "${sandboxId}" was not found.`);
    const policy = await policyInRunner(context, sandboxId);
    const named = placeholdersOf(policy);
    const values: Record<string, string> = {};
    for (const text of new Set(placeholders)) {
      const placeholder = findPlaceholder(text);
      // The egress process faces hostile bytes: who takes it over gets no more than what policies name.
      if (placeholder === undefined || !named.has(text))
        throw new SoulBoxError('bad_request', `No rule of the sandbox names "${text.slice(0, 100)}".`);
      values[text] =
        placeholder.kind === 'secret'
          ? await revealSecret(context, sandbox, placeholder, host)
          : await issueToken(context, sandbox, placeholder, { declared: policy.identityTokens, host });
    }
    return values;
  };
}

/** The present policy of the sandbox, from the runner: what the egress process says of it is not trusted. */
async function policyInRunner({ runner }: ApiContext, sandboxId: string): Promise<NetworkPolicy> {
  const { sandbox } = await callRunner((options) => runner.getSandbox({ sandboxId }, options));
  return sandbox?.network ?? create(NetworkPolicySchema);
}

function placeholdersOf({ rules }: NetworkPolicy): Set<string> {
  const values = Object.values(rules).flatMap(({ headers }) => Object.values(headers));
  const parts = values.flatMap((value) => parseTemplate(value));
  return new Set(parts.flatMap((part) => (part.kind === 'placeholder' ? [part.name] : [])));
}

async function revealSecret(
  context: ApiContext,
  sandbox: SandboxRecord,
  { name }: Placeholder,
  host: string,
): Promise<string> {
  const { records, keyring, trail } = context;
  const secret = await records.secrets.findByName(sandbox.teamId, name.toLowerCase());
  if (secret === undefined) throw secretNotFound(name);
  const { id, currentVersion } = secret;
  const sealed = await records.secrets.findSealedValue(id, currentVersion);
  if (sealed === undefined) throw secretNotFound(name);
  await trail.admit({
    ...useOf(sandbox),
    action: 'secret.use',
    target: { kind: 'secret', id },
    facts: { sandbox: sandbox.id, version: currentVersion, host },
  });
  return (await keyring.open(sealed, placeOfVersion(secret, currentVersion))).reveal();
}

async function issueToken(
  { identityTokens, trail }: ApiContext,
  sandbox: SandboxRecord,
  { name }: Placeholder,
  { declared, host }: { readonly declared: NetworkPolicy['identityTokens']; readonly host: string },
): Promise<string> {
  const token = Object.hasOwn(declared, name) ? declared[name] : undefined;
  if (token === undefined) throw new SoulBoxError('bad_request', `The sandbox declares no identity token "${name}".`);
  const target = { kind: 'sandbox', id: sandbox.id };
  await trail.admit({ ...useOf(sandbox), action: 'identity.issue', target, facts: { host } });
  const { teamId, templateId, id: sandboxId } = sandbox;
  return await identityTokens.issue({ teamId, templateId, sandboxId }, token.audience);
}

/** The sandbox asks for it, by the policy that a key of the team has given it. */
function useOf({ teamId }: SandboxRecord): Omit<Deed, 'action' | 'target'> {
  return { teamId, class: 'security', scope: 'sandbox', rule: 'policy', actor: { kind: 'server', id: 'egress' } };
}
