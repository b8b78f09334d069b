import { createClient } from '@connectrpc/connect';
import type { ConnectRouter, Transport } from '@connectrpc/connect';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { SshService, SshUseKind } from '@soulbox/contract/control-ssh';
import { controlAway, errorFromConnect } from './error-from-connect.ts';
import { connectErrorFromError } from './error-to-connect.ts';
import { errorForCaller } from './error-to-http.ts';

/** A signed request to enter a sandbox, as the SSH process has received it. */
export interface SshAttempt {
  /** The user name: the id of a sandbox. */
  readonly user: string;
  /** In the encoding of SSH. */
  readonly publicKey: Uint8Array;
  /** Session id and request. */
  readonly signed: Uint8Array;
  /** Of ECDSA: in DER. */
  readonly signature: Uint8Array;
  /** Of the client. */
  readonly address: string;
}

/** A key that has opened a sandbox. */
export interface SshGrant {
  readonly sandboxId: string;
  readonly keyId: string;
}

export interface SshAdmission extends SshGrant {
  /** Empty: envd requires none. */
  readonly accessToken: string;
  /** Why the sandbox cannot be used now. Empty: it can. */
  readonly fault: string;
  /** Of the sandbox. */
  readonly teamId: string;
}

const kinds = {
  shell: SshUseKind.SHELL,
  exec: SshUseKind.EXEC,
  sftp: SshUseKind.SFTP,
  forward: SshUseKind.FORWARD,
} as const;
export type SshUsed = keyof typeof kinds;

export interface SshUse {
  readonly grant: SshGrant;
  readonly kind: SshUsed;
  readonly count: number;
}

/** Decides who may enter a sandbox by SSH. The control plane implements it. */
export interface SshAuthority {
  /** Throws `unauthorized`, for whatever reason, and `limit_exceeded`. */
  authorize(attempt: SshAttempt): Promise<SshAdmission>;
  /** Those of the grants that have ended. */
  findEnded(grants: readonly SshGrant[]): Promise<SshGrant[]>;
  report(uses: readonly SshUse[]): Promise<void>;
}

/** Grants or uses in one call. */
export const sshGrantsMax = 1000;
/** A paused sandbox may have to be resumed. */
const authorizeMs = 120_000;
const shortMs = 10_000;
const usesMax = 1_000_000_000;
/** Bounds of what a request of the method `publickey` has; an RSA key of 16,384 bits needs 2 KiB. */
const partMaxBytes = 8192;
const userMax = 256;

/** Serves the decisions for the SSH process, which reads strangers' bytes: its requests are bounded. */
export function addSshAuthority(router: ConnectRouter, authority: SshAuthority, logger: Logger): void {
  const answer = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (thrown) {
      const error = errorForCaller(errorFromUnknown(thrown));
      if (error.reason === 'internal') logger.error({ err: thrown }, 'a request of the SSH process failed');
      throw connectErrorFromError(error);
    }
  };
  router.service(SshService, {
    authorize: async ({ user, publicKey, signed, signature, address }) =>
      await answer(async () => {
        const parts = [publicKey, signed, signature];
        if (user.length > userMax || parts.some(({ length }) => length > partMaxBytes))
          throw new SoulBoxError('unauthorized', 'The request is too large.');
        return await authority.authorize({ user, publicKey, signed, signature, address });
      }),
    findEndedGrants: async ({ grants }) =>
      await answer(async () => {
        refuseMany(grants.length);
        return { grants: await authority.findEnded(grants.map(({ sandboxId, keyId }) => ({ sandboxId, keyId }))) };
      }),
    reportSshUses: async ({ uses }) =>
      await answer(async () => {
        refuseMany(uses.length);
        const known = uses.flatMap(({ grant, kind, count }): SshUse[] => {
          const name = (Object.keys(kinds) as SshUsed[]).find((one) => kinds[one] === kind);
          if (grant === undefined || name === undefined || count < 1 || count > usesMax) return [];
          return [{ grant: { sandboxId: grant.sandboxId, keyId: grant.keyId }, kind: name, count }];
        });
        await authority.report(known);
        return {};
      }),
  });
}

function refuseMany(count: number): void {
  if (count > sshGrantsMax) throw new SoulBoxError('bad_request', `A call has at most ${sshGrantsMax} entries.`);
}

/** The client, for another process. Throws `control_unavailable` if the control plane is away. */
export function createSshAuthority(transport: Transport): SshAuthority {
  const client = createClient(SshService, transport);
  const ask = async <T>(call: () => Promise<T>): Promise<T> => {
    try {
      return await call();
    } catch (thrown) {
      throw errorFromConnect(thrown, controlAway);
    }
  };
  return {
    authorize: async (attempt) =>
      await ask(async () => {
        const answer = await client.authorize(attempt, { timeoutMs: authorizeMs });
        const { sandboxId, keyId, accessToken, fault, teamId } = answer;
        return { sandboxId, keyId, accessToken, fault, teamId };
      }),
    findEnded: async (grants) =>
      await ask(async () => {
        const ended: SshGrant[] = [];
        for (let at = 0; at < grants.length; at += sshGrantsMax) {
          const part = grants.slice(at, at + sshGrantsMax).map(({ sandboxId, keyId }) => ({ sandboxId, keyId }));
          const answer = await client.findEndedGrants({ grants: part }, { timeoutMs: shortMs });
          ended.push(...answer.grants.map(({ sandboxId, keyId }) => ({ sandboxId, keyId })));
        }
        return ended;
      }),
    report: async (uses) =>
      await ask(async () => {
        const wire = uses.map(({ grant, kind, count }) => ({ grant, kind: kinds[kind], count }));
        await client.reportSshUses({ uses: wire }, { timeoutMs: shortMs });
      }),
  };
}
