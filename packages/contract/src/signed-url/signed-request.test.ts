import { describe, expect, test } from 'vitest';
import { canonicalForm, parseSignedRequest, signedTargetMax } from './signed-request.ts';
import type { ParsedRequest, SignedParts, SignedRequest } from './signed-request.ts';
import { isSignedWith, signedTarget } from './signature.ts';
import type { Grant } from './parameters.ts';

const key = Buffer.alloc(32, 7);
const otherKey = Buffer.alloc(32, 8);
const grant: Grant = {
  keyId: 'sabcdefghijkl',
  signerId: '123e4567-e89b-12d3-a456-426614174000',
  expiresAt: 1_800_000_000,
  nonce: 'AAECAwQFBgcICQoLDA0ODw',
  once: false,
};

const host = 'box.example:3000';

function sign(more: Partial<Grant> = {}, parts: Partial<SignedParts> = {}): string {
  const own = [['a', '1'] as const, ['b', 'x y'] as const];
  return signedTarget({ method: 'GET', host, path: '/dir/file', own, ...parts, grant: { ...grant, ...more } }, key);
}

function parse(target: string, { method = 'GET', authority = host } = {}): ParsedRequest {
  return parseSignedRequest({ method, authority, target });
}

function getSigned(target: string, request: { method?: string; authority?: string } = {}): SignedRequest {
  const parsed = parse(target, request);
  if (parsed.kind !== 'signed') throw new Error(JSON.stringify(parsed));
  return parsed.request;
}

function isValid(target: string, request: { method?: string; authority?: string } = {}): boolean {
  const parsed = parse(target, request);
  return parsed.kind === 'signed' && isSignedWith(parsed.request, key);
}

const everything = sign({
  once: true,
  maxBytes: 1000,
  contentType: 'image/*',
  addresses: ['192.0.2.0/24', '2001:db8::/32'],
});

describe('a signed URL', () => {
  test('is valid as it was made, and passes on nothing of the signature', () => {
    expect(isValid(everything)).toBe(true);
    expect(getSigned(everything).target).toBe('/dir/file?a=1&b=x%20y');
    expect(getSigned(everything).grant).toEqual({
      ...grant,
      once: true,
      maxBytes: 1000,
      contentType: 'image/*',
      addresses: ['192.0.2.0/24', '2001:db8::/32'],
    });
  });

  test('is valid for HEAD if it was signed for GET, and for no other method', () => {
    expect(isValid(everything, { method: 'HEAD' })).toBe(true);
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'get', 'TRACE', 'CONNECT'])
      expect([method, isValid(everything, { method })]).toEqual([method, false]);
  });

  test.each([
    [
      'other order',
      (url: string) => url.replace(/\?(.*)$/, (_, query: string) => `?${query.split('&').reverse().join('&')}`),
    ],
    ['a plus for a space', (url: string) => url.replace('x%20y', 'x+y')],
    ['an encoded letter in a value', (url: string) => url.replace('a=1', 'a=%31')],
    ['an encoded letter in a name', (url: string) => url.replace('soulbox-key', '%73oulbox%2dkey')],
    ['an encoded letter in the path', (url: string) => url.replace('/dir/file', '/%64ir/fil%65')],
    ['an encoding in lower case', (url: string) => url.replace('192.0.2.0%2F24', '192.0.2.0%2f24')],
  ])('is still valid with %s', (_what, change) => {
    const changed = change(everything);
    expect(changed).not.toBe(everything);
    expect(isValid(changed)).toBe(true);
    expect(getSigned(changed).target.split('?')[0]).toBe('/dir/file');
  });

  test.each(['BOX.example:3000', 'box.example.:3000'])('is still valid at %s', (authority) => {
    expect(isValid(everything, { authority })).toBe(true);
  });

  test.each([
    'box.example',
    'box.example:3001',
    'x.box.example:3000',
    'box.example:443',
    '',
    'a,b',
    'a@box.example:3000',
  ])('is not valid at %j', (authority) => {
    expect(isValid(everything, { authority })).toBe(false);
  });

  test.each([
    ['path', (url: string) => url.replace('/dir/file', '/dir/files')],
    ['case of the path', (url: string) => url.replace('/dir/file', '/Dir/file')],
    ['slash at the end', (url: string) => url.replace('/dir/file', '/dir/file/')],
    ['value', (url: string) => url.replace('a=1', 'a=2')],
    ['name of a parameter', (url: string) => url.replace('a=1', 'A=1')],
    ['removed parameter', (url: string) => url.replace('a=1&', '')],
    ['added parameter', (url: string) => url.replace('a=1', 'a=1&c=3')],
    ['doubled parameter', (url: string) => url.replace('a=1', 'a=1&a=1')],
    ['key', (url: string) => url.replace('sabcdefghijkl', 'sabcdefghijkm')],
    ['API key', (url: string) => url.replace('174000', '174001')],
    ['end', (url: string) => url.replace('1800000000', '1900000000')],
    ['nonce', (url: string) => url.replace('AAECAwQ', 'AAECAwR')],
    ['use', (url: string) => url.replace('soulbox-once=1&', '')],
    ['size', (url: string) => url.replace('max-bytes=1000', 'max-bytes=10000')],
    ['removed size', (url: string) => url.replace('soulbox-max-bytes=1000&', '')],
    ['type', (url: string) => url.replace('image%2F%2A', 'video%2F%2A')],
    ['removed address range', (url: string) => url.replace(/&soulbox-from=[^&]*/, '')],
    ['wider address range', (url: string) => url.replace('192.0.2.0%2F24', '192.0.2.0%2F23')],
    ['added prefix', (url: string) => `${url}&soulbox-prefix=%2F`],
    [
      'first character of the signature',
      (url: string) => url.replace(/signature=./, (at) => `signature=${at.endsWith('A') ? 'B' : 'A'}`),
    ],
    ['truncated signature', (url: string) => url.slice(0, -1)],
    ['longer signature', (url: string) => `${url}A`],
    ['padded signature', (url: string) => `${url}%3D`],
    ['empty signature', (url: string) => url.replace(/signature=.*$/, 'signature=')],
    [
      'signature in upper case',
      (url: string) => url.replace(/signature=.*$/, (at) => at.slice(0, 10) + at.slice(10).toUpperCase()),
    ],
  ])('is not valid with another %s', (_what, change) => {
    const changed = change(everything);
    expect(changed).not.toBe(everything);
    expect(isValid(changed)).toBe(false);
  });

  test('is not valid with another text for the same bytes of the signature', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(everything.slice(-1));
    const twin = everything.slice(0, -1) + (alphabet[last ^ 1] ?? '');
    expect(Buffer.from(twin.slice(-43), 'base64url')).toEqual(Buffer.from(everything.slice(-43), 'base64url'));
    expect([isValid(everything), isValid(twin)]).toEqual([true, false]);
  });

  test('is not valid with another key', () => {
    expect(isSignedWith(getSigned(everything), otherKey)).toBe(false);
  });

  test.each([
    ['an unknown parameter of ours', (url: string) => `${url}&soulbox-new=1`, /unknown parameter "soulbox-new"/],
    ['a parameter of ours in upper case', (url: string) => `${url}&Soulbox-Once=1`, /unknown parameter "Soulbox-Once"/],
    ['a doubled parameter of ours', (url: string) => `${url}&soulbox-once=1`, /soulbox-once more than once/],
    [
      'a doubled signature',
      (url: string) => `${url}&${/soulbox-signature=.*/.exec(url)?.[0] ?? ''}`,
      /soulbox-signature more than once/,
    ],
    ['a missing key', (url: string) => url.replace(/soulbox-key=[^&]*&/, ''), /no soulbox-key/],
    ['a missing end', (url: string) => url.replace(/soulbox-expires=[^&]*&/, ''), /no soulbox-expires/],
    ['a missing nonce', (url: string) => url.replace(/soulbox-nonce=[^&]*&/, ''), /no soulbox-nonce/],
    ['a missing signature', (url: string) => url.replace(/&soulbox-signature=.*$/, ''), /no soulbox-signature/],
    ['an end with a sign', (url: string) => url.replace('1800000000', '%2B1800000000'), /invalid soulbox-expires/],
    [
      'an end with a zero before it',
      (url: string) => url.replace('1800000000', '01800000000'),
      /invalid soulbox-expires/,
    ],
    ['an end in another form', (url: string) => url.replace('1800000000', '1.8e9'), /invalid soulbox-expires/],
    ['a short nonce', (url: string) => url.replace('AAECAwQ', 'AAE'), /invalid soulbox-nonce/],
    ['another value of once', (url: string) => url.replace('once=1', 'once=0'), /invalid soulbox-once/],
    ['an empty value of once', (url: string) => url.replace('once=1', 'once'), /invalid soulbox-once/],
    ['a size of zero', (url: string) => url.replace('max-bytes=1000', 'max-bytes=0'), /invalid soulbox-max-bytes/],
    ['a negative size', (url: string) => url.replace('max-bytes=1000', 'max-bytes=-1'), /invalid soulbox-max-bytes/],
    ['a dot segment', (url: string) => url.replace('/dir/', '/dir/../dir/'), /dot segment/],
    ['an encoded dot segment', (url: string) => url.replace('/dir/', '/dir/%2e%2E/dir/'), /dot segment/],
    ['an encoded slash', (url: string) => url.replace('/dir/', '/dir%2F'), /slash/],
    ['a double encoding', (url: string) => url.replace('/dir/', '/%2564ir/'), /encoded twice/],
    ['a doubled slash', (url: string) => url.replace('/dir/', '/dir//'), /empty segment/],
    ['an empty parameter', (url: string) => url.replace('&', '&&'), /query/],
    ['a fragment', (url: string) => `${url}#x`, /fragment/],
    ['a bad encoding', (url: string) => url.replace('a=1', 'a=%'), /query/],
    ['more characters than allowed', (url: string) => url.replace('a=1', `a=${'x'.repeat(signedTargetMax)}`), /8192/],
    ['a longer key', (url: string) => url.replace('sabcdefghijkl', 'sabcdefghijklm'), /invalid soulbox-key/],
    [
      'a key with more before it',
      (url: string) => url.replace('sabcdefghijkl', 'xsabcdefghijkl'),
      /invalid soulbox-key/,
    ],
    ['an API key with more', (url: string) => url.replace('174000', '174000f'), /invalid soulbox-by/],
    ['an API key with more before it', (url: string) => url.replace('123e4567', '0123e4567'), /invalid soulbox-by/],
    ['a longer nonce', (url: string) => url.replace('AAECAwQ', 'AAAECAwQ'), /invalid soulbox-nonce/],
    [
      'a size with a fraction',
      (url: string) => url.replace('max-bytes=1000', 'max-bytes=1000.5'),
      /invalid soulbox-max-bytes/,
    ],
    ['a type of everything', (url: string) => url.replace('image%2F', '%2A%2F'), /invalid soulbox-type/],
    ['one bad address range', (url: string) => url.replace('192.0.2.0%2F24', '192.0.2.0%2F33'), /invalid soulbox-from/],
    ['no address range', (url: string) => url.replace(/soulbox-from=[^&]*/, 'soulbox-from='), /invalid soulbox-from/],
    [
      '11 address ranges',
      (url: string) => url.replace(/soulbox-from=[^&]*/, `soulbox-from=${'::1,'.repeat(10)}::1`),
      /invalid soulbox-from/,
    ],
    ['two prefixes', (url: string) => `${url}&soulbox-prefix=%2F&soulbox-file-prefix=%2F`, /both/],
    ['a fragment in the path', (url: string) => url.replace('/dir', '/d#ir'), /fragment/],
  ])('is refused with %s', (_what, change, why) => {
    const changed = change(everything);
    expect(changed).not.toBe(everything);
    expect(parse(changed)).toEqual({ kind: 'refused', message: expect.stringMatching(why) as string });
  });

  test('is refused at what is no host', () => {
    const message = expect.stringMatching(/^The signed URL has no valid host\.$/) as string;
    expect(parse(everything, { authority: 'a,b' })).toEqual({ kind: 'refused', message });
  });

  test('may have as many characters as allowed, and 10 address ranges', () => {
    const long = (length: number): string =>
      sign({ addresses: Array<string>(10).fill('::1') }, { own: [['a', 'x'.repeat(length)]] });
    const fits = long(signedTargetMax - long(0).length);
    expect([fits.length, isValid(fits)]).toEqual([signedTargetMax, true]);
    expect(parse(`${fits}A`)).toMatchObject({ kind: 'refused' });
  });

  test('without a query of its own is passed on without one', () => {
    expect(getSigned(sign({}, { own: [] })).target).toBe('/dir/file');
  });

  test('of a file is signed for its path, unless it has a prefix', () => {
    const url = sign({}, { path: '/files', own: [['path', '/a']] });
    expect([isValid(url), isValid(url.replace('path=%2Fa', 'path=%2Fb'))]).toEqual([true, false]);
  });

  test('has the documented canonical form', () => {
    const parameters =
      'soulbox-by=123e4567-e89b-12d3-a456-426614174000&soulbox-expires=1800000000&soulbox-key=sabcdefghijkl&soulbox-nonce=AAECAwQFBgcICQoLDA0ODw';
    expect(canonicalForm(getSigned(sign()))).toBe(
      `soulbox-signed-url-v1\nGET\nbox.example:3000\n/dir/file\na=1&b=x%20y&${parameters}`,
    );
  });
});

describe('a URL that is signed for a prefix', () => {
  const folder = sign({ prefix: '/dir/' });
  test('is valid below it, with the same query', () => {
    for (const path of ['/dir/', '/dir/x', '/dir/x/y%20z', '/d%69r/x'])
      expect([path, isValid(folder.replace('/dir/file', path))]).toEqual([path, true]);
    expect(isValid(folder.replace('a=1', 'a=2'))).toBe(false);
  });

  test.each([
    '/dir',
    '/dirx',
    '/',
    '/other/',
    '/Dir/x',
    '/dir/../x',
    '/dir/%2e%2e/x',
    '/dir/..%2fx',
    '/dir/..;/x',
    '/x/dir/',
  ])('is refused for %s', (path) => {
    expect(parse(folder.replace('/dir/file', path)).kind).toBe('refused');
  });

  test('differs from one that is signed for that path alone', () => {
    const exact = getSigned(sign({}, { path: '/dir/' }));
    expect(canonicalForm(exact)).not.toBe(canonicalForm(getSigned(sign({ prefix: '/dir/' }, { path: '/dir/' }))));
  });

  test.each(['dir/', '/dir', '/dir/../', '/dir//', '/%64ir/', ''])('is refused with the prefix %j', (prefix) => {
    expect(parse(sign({ prefix })).kind).toBe('refused');
  });
});

describe('a URL that is signed for a folder of a sandbox', () => {
  const upload = (path: string): string =>
    sign(
      { filePrefix: '/home/user/in/' },
      {
        path: '/files',
        own: [
          ['path', '/home/user/in/'],
          ['username', 'user'],
        ],
      },
    ).replace(`path=${encodeURIComponent('/home/user/in/')}&`, `path=${encodeURIComponent(path)}&`);

  test('is valid for files below it', () => {
    for (const path of ['/home/user/in/x', '/home/user/in/a/b c', '/home/user/in/..x', '/home/user/in/%2e%2e'])
      expect([path, isValid(upload(path))]).toEqual([path, true]);
  });

  test.each([
    ...['/home/user/in/', '/home/user/in', '/home/user/inx', '/home/user/in/../x', '/home/user/in/x/..', '/etc/passwd'],
    ...[
      '/home/user/in/./x',
      '/home/user/in//x',
      'x',
      '',
      '/home/user/in/a\u0000',
      '/home/user/in/a\nb',
      '/home/user/in/x/',
    ],
  ])('is refused for %j', (path) => {
    expect(parse(upload(path)).kind).toBe('refused');
  });

  test.each(['home/', '/a', '', '/a/../', '/a//', '/./', 'x/', '/a\n/'])(
    'is refused with the folder %j',
    (filePrefix) => {
      const url = sign({ filePrefix }, { path: '/files', own: [['path', `${filePrefix}x`]] });
      expect(parse(url)).toEqual({
        kind: 'refused',
        message: expect.stringMatching(/invalid soulbox-file-prefix/) as string,
      });
    },
  );

  test('may be signed for the root', () => {
    expect(isValid(sign({ filePrefix: '/' }, { path: '/files', own: [['path', '/x']] }))).toBe(true);
  });

  test('is refused with two paths or none, and not valid with another user', () => {
    const url = upload('/home/user/in/x');
    expect(parse(`${url}&path=%2Fetc%2Fpasswd`).kind).toBe('refused');
    expect(parse(url.replace(/path=[^&]*&/, '')).kind).toBe('refused');
    expect(isValid(url.replace('username=user', 'username=root'))).toBe(false);
  });
});

test('a request without a parameter of ours is not signed', () => {
  for (const target of ['/', '/?', '/x?a=%', '/files?path=a&signature=v1_x', '/../x?&&'])
    expect(parse(target).kind).toBe('unsigned');
});
