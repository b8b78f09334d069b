import { createHash, createHmac } from 'node:crypto';

/** A request to a service of AWS, before it is signed. */
export interface AwsRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** Names in lower case, `host` included. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface AwsSigner {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly region: string;
  readonly service: string;
}

const algorithm = 'AWS4-HMAC-SHA256';

/** The `Authorization` header of Signature Version 4. The signed header `x-amz-date` has the value `amzDate(at)`. */
export function signAwsRequest(request: AwsRequest, signer: AwsSigner, at: Date): string {
  const date = amzDate(at);
  const scope = [date.slice(0, 8), signer.region, signer.service, 'aws4_request'];
  const headers: Record<string, string> = { ...request.headers, 'x-amz-date': date };
  const names = Object.keys(headers).sort();
  const canonical = [
    request.method,
    request.path,
    request.query,
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim()}`),
    '',
    names.join(';'),
    sha256(request.body),
  ].join('\n');
  const text = [algorithm, date, scope.join('/'), sha256(canonical)].join('\n');
  const signingKey = scope.reduce<string | Buffer>(
    (key, part) => createHmac('sha256', key).update(part).digest(),
    `AWS4${signer.secretAccessKey}`,
  );
  const signature = createHmac('sha256', signingKey).update(text).digest('hex');
  const credential = `Credential=${signer.accessKeyId}/${scope.join('/')}`;
  return `${algorithm} ${credential}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
}

/** 20150830T123600Z */
export function amzDate(at: Date): string {
  return at.toISOString().replace(/[-:]|\.\d{3}/g, '');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
