// The promises of the public specifications, each as a few lines that run inside a function. A case passes if it
// returns without throwing. The cases follow the texts in `spec` and are the same for both engines.

/** @param {unknown} actual @param {unknown} expected */
function same(actual, expected) {
  const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${a} is not ${b}`);
}
const bytes = (...values) => new Uint8Array(values);
const encode = (text) => new TextEncoder().encode(text);
const decode = (data) => new TextDecoder().decode(data);
const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
function rejects(work, what = 'it') {
  return Promise.resolve()
    .then(work)
    .then(
      () => {
        throw new Error(`${what} was taken`);
      },
      (error) => error,
    );
}
async function read(stream) {
  const parts = [];
  for (let reader = stream.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return parts;
    parts.push(value);
  }
}

const fetchSpec = 'https://fetch.spec.whatwg.org/';
const urlSpec = 'https://url.spec.whatwg.org/';
const encodingSpec = 'https://encoding.spec.whatwg.org/';
const streamsSpec = 'https://streams.spec.whatwg.org/';
const cryptoSpec = 'https://w3c.github.io/webcrypto/';
const htmlSpec = 'https://html.spec.whatwg.org/';
const domSpec = 'https://dom.spec.whatwg.org/';
const workersSpec = 'https://developers.cloudflare.com/workers/runtime-apis/';
const vercelSpec = 'https://vercel.com/docs/functions/runtimes/edge';

/**
 * @type {{ area: string, name: string, spec: string, run: (request: Request, env: any, context: any) => unknown }[]}
 */
export const cases = [];
const area = (name, spec, entries) => {
  for (const [what, run] of Object.entries(entries)) cases.push({ area: name, name: what, spec, run });
};

area('Request and Response', fetchSpec, {
  'a handler gets a `Request` and gives a `Response`': (request) => same(request instanceof Request, true),
  '`request.url`, `method` and `headers`': (request) => {
    same(new URL(request.url).pathname, '/run');
    same([request.method, request.headers.get('x-probe')], ['POST', 'yes']);
  },
  '`request.text()` of the body that was sent': async (request) => same(await request.text(), 'sent body'),
  '`new Request()` from another one and with an init': async () => {
    const first = new Request('https://example.com/a', { method: 'POST', body: 'x', headers: { a: '1' } });
    const second = new Request(first, { headers: { b: '2' } });
    same(
      [second.method, second.headers.get('a'), second.headers.get('b'), await second.text()],
      ['POST', null, '2', 'x'],
    );
  },
  '`Response.json()`': async () => {
    const response = Response.json({ a: 1 }, { status: 201 });
    same(
      [response.status, response.headers.get('content-type'), await response.json()],
      [201, 'application/json', { a: 1 }],
    );
  },
  '`Response.redirect()`': () => {
    const response = Response.redirect('https://example.com/x', 307);
    same([response.status, response.headers.get('location')], [307, 'https://example.com/x']);
  },
  '`Response.error()`': () => same([Response.error().type, Response.error().status], ['error', 0]),
  '`response.clone()` gives two bodies': async () => {
    const response = new Response('twice');
    const copy = response.clone();
    same([await response.text(), await copy.text()], ['twice', 'twice']);
  },
  'a body is used once': async () => {
    const response = new Response('once');
    await response.text();
    same(response.bodyUsed, true);
    await rejects(() => response.text());
  },
  '`arrayBuffer()`, `bytes()` and `blob()`': async () => {
    same(hex(await new Response(bytes(1, 255)).arrayBuffer()), '01ff');
    same([...(await new Response(bytes(1, 255)).bytes())], [1, 255]);
    same(await (await new Response('b').blob()).text(), 'b');
  },
  '`formData()` of multipart and of URL-encoded bodies': async () => {
    const form = new FormData();
    form.append('text', 'ä');
    form.append('file', new Blob(['content'], { type: 'text/plain' }), 'name.txt');
    const parsed = await new Response(form).formData();
    same([parsed.get('text'), await parsed.get('file').text(), parsed.get('file').name], ['ä', 'content', 'name.txt']);
    const encoded = await new Response(new URLSearchParams({ a: '1 2' })).formData();
    same(encoded.get('a'), '1 2');
  },
  '`Headers`: names without case, joined values, sorted iteration': () => {
    const headers = new Headers([
      ['B', '1'],
      ['a', '2'],
      ['b', '3'],
    ]);
    same(
      [...headers],
      [
        ['a', '2'],
        ['b', '1, 3'],
      ],
    );
  },
  '`headers.getSetCookie()`': () => {
    const headers = new Headers();
    headers.append('set-cookie', 'a=1');
    headers.append('set-cookie', 'b=2');
    same(headers.getSetCookie(), ['a=1', 'b=2']);
  },
  '`Headers` refuse what is no name or value': async () => {
    await rejects(() => new Headers({ 'a b': 'x' }));
    await rejects(() => new Headers({ a: 'x\ny' }));
  },
  '`Blob` and `File`': async () => {
    const blob = new Blob(['abc', bytes(100)], { type: 'text/x' });
    same([blob.size, blob.type, await blob.slice(1, 4).text()], [4, 'text/x', 'bcd']);
    same(new File(['x'], 'f.txt').name, 'f.txt');
  },
  'a `fetch` that cannot succeed rejects': () => rejects(() => fetch('http://127.0.0.1:1/'), 'the request'),
  '`fetch` of a `data:` URL': async () => same(await (await fetch('data:text/plain,hello')).text(), 'hello'),
});

area('URL', urlSpec, {
  '`URL` parses, resolves and serializes': () => {
    same(new URL('../b?q#h', 'https://user:pw@ex.com:8080/x/a').href, 'https://user:pw@ex.com:8080/b?q#h');
    same(new URL('https://münchen.example/ä').href, 'https://xn--mnchen-3ya.example/%C3%A4');
  },
  '`URL.canParse()` and `URL.parse()`': () =>
    same([URL.canParse('nope'), URL.parse('nope'), URL.parse('a:b').href], [false, null, 'a:b']),
  '`URLSearchParams`': () => {
    const params = new URLSearchParams('b=2&a=1&a=%20+');
    params.sort();
    same(
      [params.toString(), params.getAll('a'), params.has('a', '1'), params.size],
      ['a=1&a=++&b=2', ['1', '  '], true, 3],
    );
  },
  '`URLPattern`': () => {
    const pattern = new URLPattern({ pathname: '/books/:id(\\d+)/*' });
    same(pattern.exec('https://x.example/books/12/rest').pathname.groups.id, '12');
    same(pattern.test('https://x.example/books/no/rest'), false);
  },
});

area('Encoding', encodingSpec, {
  '`TextEncoder`, `encodeInto()`': () => {
    same([...encode('ä€😀')], [195, 164, 226, 130, 172, 240, 159, 152, 128]);
    same(new TextEncoder().encodeInto('ab', new Uint8Array(1)), { read: 1, written: 1 });
  },
  '`TextDecoder`: replacement, `fatal`, `stream`': async () => {
    same(decode(bytes(0xff, 0x41)), '\ufffdA');
    await rejects(() => new TextDecoder('utf-8', { fatal: true }).decode(bytes(0xff)));
    const decoder = new TextDecoder();
    same(decoder.decode(bytes(0xe2, 0x82), { stream: true }) + decoder.decode(bytes(0xac)), '€');
  },
  '`TextDecoder` of UTF-16 and of Windows-1252': () => {
    same(new TextDecoder('utf-16le').decode(bytes(0x41, 0, 0xac, 0x20)), 'A€');
    same(new TextDecoder('windows-1252').decode(bytes(0x80)), '€');
  },
  '`TextEncoderStream` and `TextDecoderStream`': async () => {
    const stream = new Response('ä').body.pipeThrough(new TextDecoderStream()).pipeThrough(new TextEncoderStream());
    same(await new Response(stream).text(), 'ä');
  },
  '`atob()` and `btoa()`': async () => {
    same([btoa('\x00ÿ'), atob('AP8=')], ['AP8=', '\x00ÿ']);
    await rejects(() => btoa('€'));
  },
});

area('Streams', streamsSpec, {
  '`ReadableStream` of one’s own, as a body': async () => {
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(encode('a'));
        controller.enqueue(encode('b'));
        controller.close();
      },
    });
    same(await new Response(stream).text(), 'ab');
  },
  '`pull` and `cancel`': async () => {
    let canceled;
    const stream = new ReadableStream({
      pull: (controller) => controller.enqueue(1),
      cancel: (why) => (canceled = why),
    });
    const reader = stream.getReader();
    same((await reader.read()).value, 1);
    await reader.cancel('enough');
    same(canceled, 'enough');
  },
  '`tee()`': async () => {
    const [one, two] = new Response('t').body.tee();
    same([await new Response(one).text(), await new Response(two).text()], ['t', 't']);
  },
  '`TransformStream` and `pipeThrough()`': async () => {
    const upper = new TransformStream({
      transform: (chunk, controller) => controller.enqueue(encode(decode(chunk).toUpperCase())),
    });
    same(await new Response(new Response('abc').body.pipeThrough(upper)).text(), 'ABC');
  },
  '`WritableStream` and `pipeTo()`': async () => {
    let text = '';
    await new Response('sink').body.pipeTo(new WritableStream({ write: (chunk) => void (text += decode(chunk)) }));
    same(text, 'sink');
  },
  'asynchronous iteration': async () => {
    let text = '';
    for await (const chunk of new Response('loop').body) text += decode(chunk);
    same(text, 'loop');
  },
  '`ReadableStream.from()`': async () => same(await read(ReadableStream.from([1, 2])), [1, 2]),
  'byte streams with a reader of one’s own buffer': async () => {
    const stream = new ReadableStream({
      type: 'bytes',
      start(controller) {
        controller.enqueue(bytes(1, 2, 3));
        controller.close();
      },
    });
    const { value } = await stream.getReader({ mode: 'byob' }).read(new Uint8Array(2));
    same([...value], [1, 2]);
  },
  'an error of a stream reaches its reader': () =>
    rejects(() =>
      new Response(new ReadableStream({ start: (controller) => controller.error(new Error('broken')) })).text(),
    ),
  '`CompressionStream` and `DecompressionStream`': async () => {
    const packed = new Response('z'.repeat(1000)).body.pipeThrough(new CompressionStream('gzip'));
    same((await new Response(packed.pipeThrough(new DecompressionStream('gzip'))).text()).length, 1000);
  },
});

area('Web Crypto', cryptoSpec, {
  '`getRandomValues()` and `randomUUID()`': () => {
    const values = crypto.getRandomValues(new Uint8Array(32));
    same([values.some((value) => value !== 0), /^[0-9a-f-]{36}$/.test(crypto.randomUUID())], [true, true]);
  },
  '`digest()`: SHA-1, 256, 384, 512': async () => {
    const sizes = [];
    for (const name of ['SHA-1', 'SHA-256', 'SHA-384', 'SHA-512'])
      sizes.push((await crypto.subtle.digest(name, encode('abc'))).byteLength);
    same(sizes, [20, 32, 48, 64]);
    same(
      hex(await crypto.subtle.digest('SHA-256', encode('abc'))),
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
  },
  HMAC: async () => {
    const key = await crypto.subtle.importKey('raw', encode('key'), { name: 'HMAC', hash: 'SHA-256' }, false, [
      'sign',
      'verify',
    ]);
    const signature = await crypto.subtle.sign('HMAC', key, encode('data'));
    same(hex(signature), '5031fe3d989c6d1537a013fa6e739da23463fdaec3b70137d828e36ace221bd0');
    same(await crypto.subtle.verify('HMAC', key, signature, encode('other')), false);
  },
  'AES-GCM and AES-CBC': async () => {
    for (const name of ['AES-GCM', 'AES-CBC']) {
      const key = await crypto.subtle.generateKey({ name, length: 256 }, true, ['encrypt', 'decrypt']);
      const iv = crypto.getRandomValues(new Uint8Array(16));
      const sealed = await crypto.subtle.encrypt({ name, iv }, key, encode('secret'));
      same(decode(await crypto.subtle.decrypt({ name, iv }, key, sealed)), 'secret');
    }
  },
  'PBKDF2 and HKDF': async () => {
    const base = await crypto.subtle.importKey('raw', encode('password'), 'PBKDF2', false, ['deriveBits']);
    const derived = await crypto.subtle.deriveBits(
      { name: 'PBKDF2', hash: 'SHA-1', salt: encode('salt'), iterations: 2 },
      base,
      160,
    );
    // RFC 6070, second vector.
    same(hex(derived), 'ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957');
    const other = await crypto.subtle.importKey('raw', encode('x'), 'HKDF', false, ['deriveBits']);
    same(
      (
        await crypto.subtle.deriveBits(
          { name: 'HKDF', hash: 'SHA-256', salt: encode(''), info: encode('') },
          other,
          256,
        )
      ).byteLength,
      32,
    );
  },
  'ECDSA and ECDH on P-256': async () => {
    const { privateKey, publicKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ]);
    const how = { name: 'ECDSA', hash: 'SHA-256' };
    const signature = await crypto.subtle.sign(how, privateKey, encode('x'));
    same(await crypto.subtle.verify(how, publicKey, signature, encode('x')), true);
    same((await crypto.subtle.exportKey('jwk', publicKey)).crv, 'P-256');
    const [a, b] = [await pair(), await pair()];
    const shared = async (mine, theirs) =>
      hex(await crypto.subtle.deriveBits({ name: 'ECDH', public: theirs.publicKey }, mine.privateKey, 256));
    same(await shared(a, b), await shared(b, a));
  },
  'RSASSA-PKCS1-v1_5, RSA-PSS and RSA-OAEP': async () => {
    const rsa = { modulusLength: 2048, publicExponent: bytes(1, 0, 1), hash: 'SHA-256' };
    for (const [name, how] of [
      ['RSASSA-PKCS1-v1_5', {}],
      ['RSA-PSS', { saltLength: 32 }],
    ]) {
      const { privateKey, publicKey } = await crypto.subtle.generateKey({ name, ...rsa }, false, ['sign', 'verify']);
      const signature = await crypto.subtle.sign({ name, ...how }, privateKey, encode('x'));
      same(await crypto.subtle.verify({ name, ...how }, publicKey, signature, encode('x')), true);
    }
    const { privateKey, publicKey } = await crypto.subtle.generateKey({ name: 'RSA-OAEP', ...rsa }, false, [
      'encrypt',
      'decrypt',
    ]);
    same(
      decode(
        await crypto.subtle.decrypt(
          'RSA-OAEP',
          privateKey,
          await crypto.subtle.encrypt('RSA-OAEP', publicKey, encode('o')),
        ),
      ),
      'o',
    );
  },
  Ed25519: async () => {
    const { privateKey, publicKey } = await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']);
    same(
      await crypto.subtle.verify(
        'Ed25519',
        publicKey,
        await crypto.subtle.sign('Ed25519', privateKey, encode('x')),
        encode('x'),
      ),
      true,
    );
  },
});
async function pair() {
  return await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']);
}

area('Timers, events, clones', htmlSpec, {
  '`setTimeout()`, `clearTimeout()`, `setInterval()`': async () => {
    let ticks = 0;
    clearTimeout(setTimeout(() => (ticks += 100), 1));
    await new Promise((resolve) => {
      const timer = setInterval(() => {
        ticks += 1;
        if (ticks === 2) resolve(clearInterval(timer));
      }, 1);
    });
    same(ticks, 2);
  },
  '`queueMicrotask()`': async () => {
    const order = [];
    queueMicrotask(() => order.push('micro'));
    order.push('now');
    await Promise.resolve();
    same(order, ['now', 'micro']);
  },
  '`structuredClone()`': () => {
    const copy = structuredClone({ map: new Map([[1, new Date(5)]]), set: new Set([2]) });
    same([copy.map.get(1).getTime(), copy.set.has(2)], [5, true]);
  },
  '`performance.now()` and `timeOrigin`': () =>
    same([typeof performance.now(), typeof performance.timeOrigin], ['number', 'number']),
  '`navigator.userAgent`': () => same(typeof navigator.userAgent, 'string'),
  '`console` methods': () =>
    same(
      ['log', 'debug', 'info', 'warn', 'error'].map((name) => typeof console[name]),
      Array(5).fill('function'),
    ),
  '`MessageChannel`': async () => {
    const { port1, port2 } = new MessageChannel();
    const got = new Promise((resolve) => (port2.onmessage = ({ data }) => resolve(data)));
    port1.postMessage({ a: 1 });
    same(await got, { a: 1 });
    port1.close();
  },
});

area('Events and abort', domSpec, {
  '`EventTarget`, `Event`, `CustomEvent`': () => {
    const target = new EventTarget();
    const seen = [];
    target.addEventListener('x', ({ detail }) => seen.push(detail), { once: true });
    for (const detail of [1, 2]) target.dispatchEvent(new CustomEvent('x', { detail }));
    same(seen, [1]);
  },
  '`AbortController`': () => {
    const controller = new AbortController();
    controller.abort(new Error('why'));
    same([controller.signal.aborted, controller.signal.reason.message], [true, 'why']);
  },
  '`AbortSignal.timeout()` and `AbortSignal.any()`': async () => {
    const signal = AbortSignal.any([new AbortController().signal, AbortSignal.timeout(5)]);
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    same(signal.reason.name, 'TimeoutError');
  },
  '`DOMException`': () => same(new DOMException('m', 'DataError').name, 'DataError'),
});

area('WebAssembly', 'https://webassembly.github.io/spec/js-api/', {
  'compiling bytes at run time': async () => {
    const module = bytes(0, 97, 115, 109, 1, 0, 0, 0);
    same((await WebAssembly.instantiate(module)).instance instanceof WebAssembly.Instance, true);
  },
});

area('WebSocket', 'https://websockets.spec.whatwg.org/', {
  'the class `WebSocket` for clients': async () => {
    same(typeof WebSocket, 'function');
    await rejects(() => new WebSocket('no url at all'));
  },
  '`WebSocketPair`, both ends in one function': async () => {
    const [one, two] = Object.values(new WebSocketPair());
    one.accept();
    two.accept();
    const got = new Promise((resolve) => two.addEventListener('message', ({ data }) => resolve(data)));
    one.send('hello');
    same(await got, 'hello');
  },
});

area('Workers', workersSpec, {
  'variables and secrets in `env`': (_request, env) => same([env.VARIABLE, env.SECRET], ['variable', 'secret']),
  '`env` of `cloudflare:workers`': async () => same((await import('cloudflare:workers')).env.VARIABLE, 'variable'),
  'KV: `put`, `get`, `getWithMetadata`, `list`, `delete`': async (_request, env) => {
    await env.STORE.put('key', 'value', { metadata: { a: 1 } });
    const { value, metadata } = await env.STORE.getWithMetadata('key');
    same([value, metadata, (await env.STORE.list()).keys[0].name], ['value', { a: 1 }, 'key']);
    await env.STORE.delete('key');
    same(await env.STORE.get('key'), null);
  },
  'KV: values as JSON, bytes and streams': async (_request, env) => {
    await env.STORE.put('json', '{"a":1}');
    same(await env.STORE.get('json', 'json'), { a: 1 });
    await env.STORE.put('bytes', bytes(0, 255));
    same(hex(await env.STORE.get('bytes', 'arrayBuffer')), '00ff');
    await env.STORE.put('stream', new Response('streamed').body);
    same(await new Response(await env.STORE.get('stream', 'stream')).text(), 'streamed');
  },
  'KV: many keys in one `get`': async (_request, env) => {
    await env.STORE.put('one', '1');
    const found = await env.STORE.get(['one', 'none']);
    same([found.get('one'), found.get('none')], ['1', null]);
  },
  '`context.waitUntil()` and `passThroughOnException()`': (_request, _env, context) => {
    context.waitUntil(Promise.resolve());
    context.passThroughOnException();
  },
  '`HTMLRewriter`': async () => {
    const rewriter = new HTMLRewriter().on('a[href]', { element: (element) => element.setAttribute('href', '/new') });
    same(await rewriter.transform(new Response('<p><a href="/old">x</a>')).text(), '<p><a href="/new">x</a>');
  },
  '`crypto.DigestStream`': async () => {
    const digest = new crypto.DigestStream('SHA-256');
    await new Response('abc').body.pipeTo(digest);
    same(hex(await digest.digest).slice(0, 8), 'ba7816bf');
  },
  '`FixedLengthStream`': async () => {
    const { readable, writable } = new FixedLengthStream(2);
    await Promise.all([new Response(readable).text(), new Response('ab').body.pipeTo(writable)]);
  },
  '`scheduler.wait()`': () => scheduler.wait(1),
  '`caches.default`': async () => {
    const key = 'https://cache.example/x';
    await caches.default.put(key, new Response('kept', { headers: { 'cache-control': 'max-age=60' } }));
    same(await (await caches.default.match(key))?.text(), 'kept');
  },
  '`request.cf` with a country': (request) => same(typeof request.cf.country, 'string'),
  '`CF-Connecting-IP`': (request) => same(request.headers.get('cf-connecting-ip'), '127.0.0.1'),
  '`node:buffer` and `node:crypto` with the flag `nodejs_compat`': async () => {
    const { Buffer } = await import('node:buffer');
    const { createHash } = await import('node:crypto');
    same(createHash('sha256').update(Buffer.from('abc')).digest('hex').slice(0, 8), 'ba7816bf');
  },
});

area('Vercel Edge', vercelSpec, {
  'variables and secrets in `process.env`': () =>
    same([process.env.VARIABLE, process.env.SECRET], ['variable', 'secret']),
  'the global `EdgeRuntime`': () => same(typeof EdgeRuntime, 'string'),
  '`context.waitUntil()` as second argument': (_request, _env, context) => context.waitUntil(Promise.resolve()),
  '`X-Real-IP`': (request) => same(request.headers.get('x-real-ip'), '127.0.0.1'),
  'code from text: `eval` and `new Function` are refused': () => rejects(() => new Function('return 1')(), 'the text'),
});
