import type { IncomingMessage, ServerResponse } from 'node:http';
import { SoulBoxError } from '@soulbox/base';
import type { Context } from '../context.ts';
import { checkHost } from '../host-gate.ts';
import { readJsonBody } from '../server/read-body.ts';
import { sendJson } from '../server/send.ts';
import { isRecord } from '../settings.ts';
import { trustAuthority } from './trust-stores.ts';

const onePem = /^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n?$/;

/**
 * POST /soulbox/trust: the host adds the authority that signs what the sandbox sees when its requests are intercepted.
 * Answers `needsRoots`, see `TrustResult`. Safe to repeat.
 */
export async function handleTrust(context: Context, request: IncomingMessage, response: ServerResponse): Promise<void> {
  await checkHost(context.hostGate, request);
  const body = await readJsonBody(request);
  if (!isRecord(body)) throw new SoulBoxError('bad_request', 'The request body must be a JSON object.');
  const { certificate, subjectHash, roots = '' } = body;
  if (typeof certificate !== 'string' || !onePem.test(certificate))
    throw new SoulBoxError('bad_request', 'certificate must be one certificate in PEM.');
  if (typeof subjectHash !== 'string' || !/^[0-9a-f]{8}$/.test(subjectHash))
    throw new SoulBoxError('bad_request', 'subjectHash must have 8 hexadecimal digits.');
  if (typeof roots !== 'string') throw new SoulBoxError('bad_request', 'roots must be a string.');
  const { variables, needsRoots } = await trustAuthority({ certificate, subjectHash, roots });
  context.trustVariables = variables;
  context.log.record('info', 'trust', 'The authority of the sandbox is trusted');
  sendJson(response, 200, { needsRoots });
}
