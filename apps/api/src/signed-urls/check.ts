import { SoulBoxError } from '@soulbox/base';
import { findLimitFault, findPortPath, parseSignedRequest } from '@soulbox/contract/signed-url';
import type { Grant } from '@soulbox/contract/signed-url';
import type { SignedUrlChecker } from '@soulbox/contract/signed-url-service';
import { callerFromSigner } from '../auth/caller.ts';
import { accessOfSigned, permit } from '../auth/permit.ts';
import { apiAuthority } from '../auth/authenticate-signed.ts';
import { gatewayAccess } from '../auth/route-access.ts';
import type { ApiContext } from '../context.ts';
import { checkOwner } from './check-owner.ts';
import { checkPort } from './file-requests.ts';

/**
 * The check of signed requests for sandboxes and functions, which the gateway asks for. The signature comes first, so
 * that a stranger learns nothing else, and the use of a one-time URL last, so that a refused request does not use it.
 */
export function createSignedUrlChecker(context: ApiContext): SignedUrlChecker {
  const { signing } = context;
  return {
    async check({ method, authority, target, isSharedHost, isPreflight, destination, facts }) {
      const host = isSharedHost ? apiAuthority(context, authority) : authority;
      const parsed = parseSignedRequest({ method, authority: host, target });
      if (parsed.kind !== 'signed')
        throw new SoulBoxError('bad_request', parsed.kind === 'refused' ? parsed.message : 'The URL is not signed.');
      const { request } = parsed;
      const signer = await signing.verify(request);
      const fault = findLimitFault(isPreflight ? withoutBody(request.grant) : request.grant, facts);
      if (fault !== undefined) throw fault;
      if (destination.kind === 'sandbox') {
        const path = isSharedHost ? findPortPath(request.path)?.path : request.path;
        const names = request.own.map(([name]) => name);
        checkPort(destination.port, { method: request.method, path: path ?? '', names });
      }
      const caller = callerFromSigner(signer);
      permit(caller, accessOfSigned(destination, undefined));
      await checkOwner(context, caller, destination);
      if (signer.by.kind === 'key') await context.keyUse.note(signer.by.apiKey);
      if (isPreflight) return;
      const used =
        destination.kind === 'sandbox'
          ? { kind: 'sandbox', id: destination.sandboxId }
          : { kind: 'function', id: destination.name };
      await signing.use(request, signer, { target: used, source: { address: facts.address, userAgent: '' } });
    },
    async findEnded(signers) {
      const ended = await Promise.all(
        signers.map(async (signer) => (await signing.findEnd(signer, [gatewayAccess.sandbox.scope])) !== undefined),
      );
      return signers.filter((_, index) => ended[index]);
    },
  };
}

/** A preflight has no body; the limits of the body apply to the request that follows. */
const withoutBody = (grant: Grant): Grant => ({ ...grant, maxBytes: undefined, contentType: undefined });
