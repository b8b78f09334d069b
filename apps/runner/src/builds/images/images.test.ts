import { describe, expect, it } from 'vitest';
import type { Reach } from '@soulbox/network/outside';
import { fetchEcrLogin } from './ecr-login.ts';
import { fullName, parseImageName, shortName } from './image-name.ts';
import { defaultImageMap, imageMapSchema, mapImage } from '../../image-map.ts';
import type { postJson } from './post-json.ts';
import { registryLogin } from './registry-login.ts';

const never = new AbortController().signal;
const nowhere: Reach = () => Promise.reject(new Error('nothing is to be asked'));
const digest = `sha256:${'a'.repeat(64)}`;

describe('the name of an image', () => {
  it.each([
    ['debian', 'debian:latest', 'docker://docker.io/library/debian:latest'],
    ['docker.io/library/debian:stable', 'debian:stable', 'docker://docker.io/library/debian:stable'],
    ['oven/bun:1', 'oven/bun:1', 'docker://docker.io/oven/bun:1'],
    ['localhost/a', 'localhost/a:latest', 'docker://localhost/a:latest'],
    ['reg.example:5000/a/b-c:v1.2', 'reg.example:5000/a/b-c:v1.2', 'docker://reg.example:5000/a/b-c:v1.2'],
    [`debian:12@${digest}`, `debian@${digest}`, `docker://docker.io/library/debian@${digest}`],
  ])('%s is understood', (reference, short, full) => {
    const name = parseImageName(reference);
    expect([shortName(name), fullName(name)]).toEqual([short, full]);
  });

  it.each([
    '',
    ' ',
    '--help',
    'A',
    'a b',
    'a:b:c',
    'a@sha256:12',
    'oci:/etc',
    'docker://x',
    '/a',
    'a//b',
    '../a',
    'x.y/',
    'a\0',
    'a'.repeat(600),
  ])('%j is refused', (reference) => {
    expect(() => parseImageName(reference)).toThrow(expect.objectContaining({ reason: 'image_unavailable' }));
  });
});

describe('the map of images', () => {
  it('gives the target of the first pattern that matches the whole name', () => {
    const map = imageMapSchema.parse('debian:1*=template:old, debian:*=reg/deb:*,python:*-slim=reg/py:*');
    expect(mapImage(map, 'debian:12')).toBe('template:old');
    expect(mapImage(map, 'debian:sid')).toBe('reg/deb:sid');
    expect(mapImage(map, 'python:3.12-slim')).toBe('reg/py:3.12');
    expect(mapImage(map, 'mydebian:12')).toBeUndefined();
    expect(mapImage(defaultImageMap, 'e2bdev/base:latest')).toBe('template:base');
  });

  it.each(['debian', 'a=b=c', '=b', 'a='])('cannot be %j', (text) => {
    expect(imageMapSchema.safeParse(text).success).toBe(false);
  });
});

describe('the login of a registry', () => {
  const decode = (text: string): unknown =>
    Object.entries((JSON.parse(text) as { auths: Record<string, { auth: string }> }).auths).map(([host, { auth }]) => [
      host,
      Buffer.from(auth, 'base64').toString(),
    ]);

  it('is for that registry only, and none when there are no credentials', async () => {
    const basic = { kind: 'basic', username: 'a', password: 'b:c' } as const;
    expect(decode((await registryLogin('reg', basic, nowhere, never)).reveal())).toEqual([['reg', 'a:b:c']]);
    const gcp = { kind: 'gcp', serviceAccountJson: '{"k":1}' } as const;
    expect(decode((await registryLogin('gcr.io', gcp, nowhere, never)).reveal())).toEqual([
      ['gcr.io', '_json_key:{"k":1}'],
    ]);
    expect(decode((await registryLogin('reg', undefined, nowhere, never)).reveal())).toEqual([]);
  });

  const aws = { kind: 'aws', accessKeyId: 'AKID', secretAccessKey: 'S3', region: 'eu-west-1' } as const;

  it('of Amazon is requested with a signature, and the secret is not sent', async () => {
    const sent: { host: string; post: object }[] = [];
    const token = Buffer.from('AWS:pw').toString('base64');
    const ask: typeof postJson = (_, host, post) => {
      sent.push({ host, post });
      return Promise.resolve({ status: 200, json: { authorizationData: [{ authorizationToken: token }] } });
    };
    expect(await fetchEcrLogin(aws, nowhere, never, ask)).toBe('AWS:pw');
    expect(sent[0]?.host).toBe('api.ecr.eu-west-1.amazonaws.com');
    expect(JSON.stringify(sent)).toMatch(/AWS4-HMAC-SHA256 Credential=AKID\/\d{8}\/eu-west-1\/ecr\/aws4_request/);
    expect(JSON.stringify(sent)).not.toContain('S3');
  });

  it.each([
    ['a region that is a host', { ...aws, region: 'evil.example/' }, 200],
    ['credentials that Amazon refuses', aws, 400],
  ])('fails with %s', async (_, credentials, status) => {
    const ask: typeof postJson = () => Promise.resolve({ status, json: {} });
    await expect(fetchEcrLogin(credentials, nowhere, never, ask)).rejects.toMatchObject({
      reason: 'image_unavailable',
    });
  });
});
