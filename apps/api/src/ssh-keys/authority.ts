import { createHash } from 'node:crypto';
import type { AuditActor } from '@soulbox/audit';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import { errorForCaller, parseSandboxId } from '@soulbox/contract';
import { SandboxState } from '@soulbox/contract/runner';
import type { SshAdmission, SshAttempt, SshAuthority, SshGrant } from '@soulbox/contract/ssh-service';
import type { SandboxRecord, SshKeyRecord } from '@soulbox/storage';
import type { Caller } from '../auth/caller.ts';
import { mayRun } from '../auth/caller.ts';
import { scopesOfRole } from '../auth/scopes.ts';
import type { ApiContext } from '../context.ts';
import { createSignInThrottle } from '../keys/sign-in-throttle.ts';
import { findOwn, isLive } from '../lookup/sandbox.ts';
import { callRunner } from '../runner/call.ts';
import { resumeSandbox } from '../sandboxes/resume.ts';
import { createRecentNames } from './recent-names.ts';
import { findSigningKey } from './verify-request.ts';

/** A paused sandbox runs for this long after it was entered. Seconds. */
const resumedSeconds = 3600;
/** Records with the same public key that are tried: of a team and of some of its members. */
const keysTried = 20;
const touchEveryMs = 60_000;
/** Signatures that have opened a sandbox, and grants, that are remembered. About 2 MB each. */
const rememberedMax = 10_000;

/** The same for whatever reason, so that it tells a stranger nothing. */
const refused = (): SoulBoxError => new SoulBoxError('unauthorized', 'The key does not open a sandbox of this name.');

/** Decides for the SSH process who enters a sandbox. */
export function createSshAuthority(context: ApiContext): SshAuthority {
  const { records, clock, trail, logger } = context;
  const throttle = createSignInThrottle(clock);
  const used = createRecentNames(rememberedMax);
  const given = createRecentNames(rememberedMax);

  const grantOf = async (sandboxId: string, keyId: string): Promise<Opened | undefined> => {
    const record = await records.sandboxes.find(sandboxId);
    const key = await records.sshKeys.find(keyId);
    return record === undefined || key === undefined ? undefined : await open(context, record, key);
  };

  return {
    async authorize(attempt) {
      // A key that is right for one sandbox may not try the names of others.
      const tried = { address: attempt.address, key: `${digestOf(attempt.publicKey)} ${attempt.user}` };
      if (throttle.check(tried) !== undefined)
        throw new SoulBoxError('limit_exceeded', 'Too many failed attempts from this address. Retry in a minute.');
      const { record, opened: found } = await judge(context, attempt);
      // Every connection signs another session id. A process that was taken over could repeat what it has seen.
      const signed = digestOf(attempt.signed);
      const opened = used.has(signed) ? undefined : found;
      const use = (actor: AuditActor, status: 'success' | 'failure'): void => {
        // Nobody's log has attempts for a sandbox that does not exist.
        if (record === undefined) return;
        trail.recordUse({
          ...{ teamId: record.teamId, action: 'ssh.sign-in', class: 'security', scope: 'sandbox', rule: 'publickey' },
          ...{ actor, target: { kind: 'sandbox', id: record.id }, result: { status, code: 0 } },
          // Attempts that fail may come from any number of addresses, and are counted together.
          ...(status === 'success' ? { source: { address: attempt.address, userAgent: '' } } : {}),
        });
      };
      if (opened === undefined) {
        throttle.failed(tried);
        use({ kind: 'token', id: 'unknown' }, 'failure');
        throw refused();
      }
      used.add(signed);
      given.add(grantName(opened.record.id, opened.key.id));
      throttle.succeeded(tried);
      use(actorOf(opened.key), 'success');
      await noteUse(context, opened.key);
      const { address } = attempt;
      logger.info({ sandboxId: opened.record.id, sshKeyId: opened.key.id, address }, 'signed in by SSH');
      return await admit(context, opened);
    },

    async findEnded(grants) {
      const ended: SshGrant[] = [];
      for (const grant of grants) if ((await grantOf(grant.sandboxId, grant.keyId)) === undefined) ended.push(grant);
      return ended;
    },

    async report(uses) {
      for (const { grant, kind, count } of uses) {
        const record = await records.sandboxes.find(grant.sandboxId);
        if (record === undefined) continue;
        // Only for grants that were given, also before a restart. Others come from a process that was taken over.
        const { sandboxId, keyId } = grant;
        if (!given.has(grantName(sandboxId, keyId)) && (await grantOf(sandboxId, keyId)) === undefined) {
          logger.warn({ sandboxId, sshKeyId: keyId }, 'a use by SSH without a sign-in was reported');
          continue;
        }
        const key = await records.sshKeys.find(grant.keyId);
        const actor: AuditActor = key === undefined ? { kind: 'key', id: grant.keyId } : actorOf(key);
        trail.recordUse(
          {
            ...{
              teamId: record.teamId,
              action: `ssh.${kind}`,
              class: 'operation',
              scope: 'sandbox',
              rule: 'publickey',
            },
            ...{ actor, target: { kind: 'sandbox', id: record.id }, result: { status: 'success', code: 0 } },
          },
          count,
        );
      }
    },
  };
}

/** A key of the team acts for itself, one of a person for the person. */
const actorOf = ({ id, owner }: SshKeyRecord): AuditActor =>
  owner.kind === 'team' ? { kind: 'key', id } : { kind: 'user', id: owner.userId };

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('base64');
const grantName = (sandboxId: string, keyId: string): string => `${sandboxId} ${keyId}`;

/** A sandbox with a key that opens it, and as whom. */
interface Opened {
  readonly record: SandboxRecord;
  readonly key: SshKeyRecord;
  readonly caller: Caller;
}

/** The same work whether the sandbox exists or not. */
async function judge(
  context: ApiContext,
  attempt: SshAttempt,
): Promise<{ readonly record: SandboxRecord | undefined; readonly opened: Opened | undefined }> {
  const { records } = context;
  const signer = findSigningKey(attempt);
  const record = await records.sandboxes.find(parseSandboxId(attempt.user) ?? '');
  const keys = await records.sshKeys.findFor(record?.teamId ?? '', signer?.fingerprint ?? '', keysTried);
  if (record === undefined) return { record, opened: undefined };
  for (const key of keys) {
    const opened = await open(context, record, key);
    if (opened !== undefined) return { record, opened };
  }
  return { record, opened: undefined };
}

/** Undefined unless the key opens the sandbox now. */
async function open(context: ApiContext, record: SandboxRecord, key: SshKeyRecord): Promise<Opened | undefined> {
  if (key.expiresAt !== undefined && key.expiresAt <= context.clock.now()) return undefined;
  const caller = await callerFromSshKey(context, record.teamId, key);
  if (caller === undefined || !mayRun(caller)) return undefined;
  const own = await findOwn(context, caller, record.id);
  return own !== undefined && isLive(own, context) ? { record: own, key, caller } : undefined;
}

/** The key as a caller for a team: a key of the team itself, or of a member with what their role allows at this moment. */
async function callerFromSshKey(context: ApiContext, teamId: string, key: SshKeyRecord): Promise<Caller | undefined> {
  const { records, config } = context;
  const team = await records.teams.find(teamId);
  if (team === undefined) return undefined;
  const common = { team, kind: 'SSH key', keyId: key.id, isolation: '', expiresAt: key.expiresAt } as const;
  if (key.owner.kind === 'team')
    return key.owner.teamId === teamId ? { ...common, scopes: ['run'], templates: key.templates } : undefined;
  const user = await records.users.find(key.owner.userId);
  // A user of another provider than the configured one is nobody.
  if (user === undefined || config.oidcIssuer === '' || user.issuer !== config.oidcIssuer) return undefined;
  const role = await records.memberships.findRole(user.id, teamId);
  return role === undefined ? undefined : { ...common, scopes: scopesOfRole(role), templates: [] };
}

/** The person is let in. What keeps the sandbox from running is told inside. */
async function admit(context: ApiContext, { record, key, caller }: Opened): Promise<SshAdmission> {
  const grant = { sandboxId: record.id, keyId: key.id, teamId: record.teamId };
  try {
    const { sandbox } = await callRunner((options) => context.runner.getSandbox({ sandboxId: record.id }, options));
    if (sandbox === undefined) throw refused();
    if (sandbox.state !== SandboxState.PAUSED) return { ...grant, accessToken: sandbox.envdAccessToken, fault: '' };
    const timeoutSeconds = Math.min(resumedSeconds, context.config.maxTimeoutHours * 3600);
    const answer = await resumeSandbox(context, caller, record.id, { timeoutSeconds, withMemory: true });
    return { ...grant, accessToken: answer.sandbox.envdAccessToken, fault: '' };
  } catch (thrown) {
    const error = errorForCaller(errorFromUnknown(thrown));
    context.logger.warn({ err: thrown, sandboxId: record.id }, 'a sandbox could not be opened for SSH');
    return { ...grant, accessToken: '', fault: error.message };
  }
}

/** A failure is no reason to refuse the key: the disk may be full. */
async function noteUse({ records, clock, logger }: ApiContext, key: SshKeyRecord): Promise<void> {
  const now = clock.now();
  if (key.lastUsedAt !== undefined && now - key.lastUsedAt < touchEveryMs) return;
  try {
    await records.sshKeys.touch(key.id, now);
  } catch (err) {
    logger.warn({ sshKeyId: key.id, err }, 'use of an SSH key could not be recorded');
  }
}
