import type { Amend } from './fault-proxy.ts';

/**
 * `If-Match` and `If-None-Match` of writes as Amazon S3 has them: moto 5.1 ignores the first one, and the second one for
 * an object that was uploaded in parts.
 */
export const amendConditions: Amend = async ({ method, path, headers }, upstream) => {
  const [key = '', query = ''] = path.split('?');
  const isFinish = method === 'POST' && /(?:^|&)uploadId=/.test(query);
  const isWrite = method === 'PUT' && !query.includes('partNumber=');
  const { 'if-match': expected, 'if-none-match': none } = headers;
  if ((!isFinish && !isWrite) || (expected === undefined && none === undefined)) return undefined;
  // Without any, moto takes the caller for a stranger.
  const authorization = headers.authorization ?? '';
  const found = await fetch(upstream + key, { method: 'HEAD', headers: { authorization } });
  const etag = found.ok ? found.headers.get('etag') : undefined;
  if (expected !== undefined && etag === undefined) return xml(404, 'NoSuchKey');
  if (expected !== undefined ? etag === expected : etag === undefined) return undefined;
  return xml(412, 'PreconditionFailed');
};

/** An error in the form of S3. */
export function xml(status: number, code: string): { kind: 'answer'; status: number; body: string } {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  return { kind: 'answer', status, body };
}
