import { createClient } from '@connectrpc/connect';
import type { ConnectRouter, Transport } from '@connectrpc/connect';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { SignedUrlService } from '@soulbox/contract/control-signed-urls';
import type { CheckSignedUrlRequest } from '@soulbox/contract/control-signed-urls';
import { controlAway, errorFromConnect } from './error-from-connect.ts';
import { connectErrorFromError } from './error-to-connect.ts';
import { errorForCaller } from './error-to-http.ts';
import type { RequestFacts } from './signed-url/limits.ts';
import type { Grant } from './signed-url/parameters.ts';

/** A signed request for code of a tenant, as the gateway has received it. */
export interface SignedUrlCheck {
  /** For a preflight of a browser, the method that it intends to use. */
  readonly method: string;
  readonly authority: string;
  /** Path and query. */
  readonly target: string;
  /** Whether the request came to the host name of the API, where a path names the destination. */
  readonly isSharedHost: boolean;
  /** A preflight uses no nonce. */
  readonly isPreflight: boolean;
  readonly destination:
    | { readonly kind: 'sandbox'; readonly sandboxId: string; readonly port: number }
    | { readonly kind: 'function'; readonly name: string };
  readonly facts: RequestFacts;
}

/** Decides about signed requests. The control plane implements it, because it has the keys. */
export interface SignedUrlChecker {
  /**
   * Resolves if the request is allowed; a one-time URL is used then. Throws `unauthorized`, `signed_url_used`,
   * `forbidden`, `body_too_large`, `unsupported_media_type`, `limit_exceeded` or `bad_request`.
   */
  check(request: SignedUrlCheck): Promise<void>;
  /** Those of the keys behind open requests that have ended, so that the requests end too. */
  findEnded(signers: readonly SignerOfUrl[]): Promise<SignerOfUrl[]>;
}

/** The keys that a signed URL names. */
export type SignerOfUrl = Pick<Grant, 'keyId' | 'signerId'>;

/** Signers in one question. A longer list is asked in parts. */
export const signersMax = 1000;

/** The gateway answers 503 when the control plane needs longer. */
const checkMs = 10_000;

/** Serves the check for the gateway. */
export function addSignedUrlCheck(router: ConnectRouter, checker: SignedUrlChecker, logger: Logger): void {
  router.service(SignedUrlService, {
    checkSignedUrl: async (request) => {
      try {
        await checker.check(checkFromWire(request));
        return {};
      } catch (thrown) {
        const error = errorForCaller(errorFromUnknown(thrown));
        if (error.reason === 'internal') logger.error({ err: thrown }, 'signed URL could not be checked');
        throw connectErrorFromError(error);
      }
    },
    findEndedSigners: async ({ signers }) => {
      try {
        if (signers.length > signersMax) throw new SoulBoxError('bad_request', `More than ${signersMax} signers.`);
        return { signers: await checker.findEnded(signers.map(({ keyId, signerId }) => ({ keyId, signerId }))) };
      } catch (thrown) {
        throw connectErrorFromError(errorForCaller(errorFromUnknown(thrown)));
      }
    },
  });
}

function checkFromWire(request: CheckSignedUrlRequest): SignedUrlCheck {
  const { method, authority, target, isSharedHost, isPreflight, destination } = request;
  const { address, contentTypes, contentEncodings, announcedBytes, isUpgrade } = request;
  if (destination.case === undefined) throw new SoulBoxError('bad_request', 'The destination is missing.');
  return {
    ...{ method, authority, target, isSharedHost, isPreflight },
    destination:
      destination.case === 'sandbox'
        ? { kind: 'sandbox', sandboxId: destination.value.sandboxId, port: destination.value.port }
        : { kind: 'function', name: destination.value },
    facts: {
      ...{ address, contentTypes, contentEncodings, isUpgrade },
      announcedBytes: announcedBytes === undefined ? undefined : Number(announcedBytes),
    },
  };
}

/** The client of that check, for another process. Throws `control_unavailable` if the control plane is away. */
export function createSignedUrlChecker(transport: Transport): SignedUrlChecker {
  const client = createClient(SignedUrlService, transport);
  return {
    async check({ destination, facts, ...request }) {
      const { announcedBytes, contentTypes, contentEncodings, ...more } = facts;
      const wire = {
        ...request,
        ...more,
        contentTypes: [...contentTypes],
        contentEncodings: [...contentEncodings],
        ...(announcedBytes === undefined ? {} : { announcedBytes: BigInt(announcedBytes) }),
        destination:
          destination.kind === 'sandbox'
            ? { case: 'sandbox' as const, value: { sandboxId: destination.sandboxId, port: destination.port } }
            : { case: 'function' as const, value: destination.name },
      };
      try {
        await client.checkSignedUrl(wire, { timeoutMs: checkMs });
      } catch (thrown) {
        throw errorFromConnect(thrown, controlAway);
      }
    },
    async findEnded(signers) {
      const ended: SignerOfUrl[] = [];
      try {
        for (let at = 0; at < signers.length; at += signersMax) {
          const part = signers.slice(at, at + signersMax).map(({ keyId, signerId }) => ({ keyId, signerId }));
          const answer = await client.findEndedSigners({ signers: part }, { timeoutMs: checkMs });
          ended.push(...answer.signers.map(({ keyId, signerId }) => ({ keyId, signerId })));
        }
      } catch (thrown) {
        throw errorFromConnect(thrown, controlAway);
      }
      return ended;
    },
  };
}
