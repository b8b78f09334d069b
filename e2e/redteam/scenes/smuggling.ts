import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Breach, refuseBreaches } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';
import { readLeniently } from './lenient-requests.ts';
import { ask, sendRaw, toPort } from './raw.ts';

const program = readFileSync(join(import.meta.dirname, 'capture.py'), 'utf8');
export const capturePort = 7777;
const tellPort = 7778;
/** The time for a service in a sandbox to start. */
export const startMs = 30_000;

/** Starts the capturing service in the attacker's sandbox, once. */
export async function startCapture({ attacker, target }: World): Promise<void> {
  if ((await ask(target.port, '/', { headers: toPort(attacker.sandboxId, tellPort) })).status === 200) return;
  await attacker.files.write('/home/user/capture.py', program);
  await attacker.commands.run('python3 /home/user/capture.py', { background: true, timeoutMs: 0 });
  const giveUpAt = Date.now() + startMs;
  while ((await ask(target.port, '/', { headers: toPort(attacker.sandboxId, tellPort) })).status !== 200)
    if (Date.now() > giveUpAt) throw new Error('the capturing service does not answer');
}

/** What the service has got since the last call, one text for each connection. */
export async function readCapture({ attacker, target }: World): Promise<string[]> {
  const { body } = await ask(target.port, '/', { headers: toPort(attacker.sandboxId, tellPort) });
  return JSON.parse(body) as string[];
}

/**
 * Throws a breach if some server would see a request that the gateway did not check: each checked one has a header of
 * the gateway.
 */
export function refuseSmuggled(connections: readonly string[]): void {
  const seen = connections.flatMap(readLeniently);
  const unchecked = seen.filter(({ headers }) => headers.get('x-forwarded-for') !== '127.0.0.1');
  refuseBreaches(unchecked.map(({ target }) => `a service sees the request ${JSON.stringify(target)}, unchecked`));
  const injected = connections.filter((text) => /^injected:/im.test(text.split(/\r?\n\r?\n/)[0] ?? ''));
  refuseBreaches(injected.map((text) => `a header was injected: ${JSON.stringify(text.slice(0, 300))}`));
}

const hidden = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\nX: x\r\n\r\n';
const chunk = `${(hidden.length + 5).toString(16)}\r\n${hidden}abcde\r\n0\r\n\r\n`;
const ended = `0\r\n\r\n${hidden}`;

/** Name, then the headers and the body of a POST request. */
export const forms: readonly (readonly [name: string, headers: string, body: string])[] = [
  ['a length and chunks (CL.TE)', `Content-Length: ${ended.length}\r\nTransfer-Encoding: chunked`, ended],
  ['chunks and a length (TE.CL)', 'Transfer-Encoding: chunked\r\nContent-Length: 4', chunk],
  [
    'two codings (TE.TE)',
    `Content-Length: ${ended.length}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x`,
    ended,
  ],
  ['an unknown coding', `Content-Length: ${ended.length}\r\nTransfer-Encoding: xchunked`, ended],
  ['a list of codings', `Content-Length: ${ended.length}\r\nTransfer-Encoding: identity, chunked`, ended],
  ['a quoted coding', `Content-Length: ${ended.length}\r\nTransfer-Encoding: "chunked"`, ended],
  ['a coding with a parameter', `Content-Length: ${ended.length}\r\nTransfer-Encoding: chunked;q=1`, ended],
  ['a blank before the colon', `Content-Length: ${ended.length}\r\nTransfer-Encoding : chunked`, ended],
  ['a tab before the value', `Content-Length: ${ended.length}\r\nTransfer-Encoding:\tchunked`, ended],
  ['a vertical tab before the value', `Content-Length: ${ended.length}\r\nTransfer-Encoding:\x0bchunked`, ended],
  ['a NUL in the value', `Content-Length: ${ended.length}\r\nTransfer-Encoding: chunked\0`, ended],
  ['a folded coding (obs-fold)', `Content-Length: ${ended.length}\r\nTransfer-Encoding:\r\n chunked`, ended],
  [
    'a folded header that hides a coding',
    `Content-Length: ${ended.length}\r\nX: y\r\n Transfer-Encoding: chunked`,
    ended,
  ],
  ['a bare line feed before a coding', `Content-Length: ${ended.length}\r\nX: y\nTransfer-Encoding: chunked`, ended],
  [
    'a bare carriage return before a coding',
    `Content-Length: ${ended.length}\r\nX: y\rTransfer-Encoding: chunked`,
    ended,
  ],
  ['an underscore in the name', `Content-Length: ${ended.length}\r\nTransfer_Encoding: chunked`, ended],
  ['two different lengths', `Content-Length: 0\r\nContent-Length: ${hidden.length}`, hidden],
  ['two equal lengths', `Content-Length: ${hidden.length}\r\nContent-Length: ${hidden.length}`, hidden],
  ['a list of lengths', `Content-Length: 0, ${hidden.length}`, hidden],
  ['a length with a sign', `Content-Length: +${hidden.length}`, hidden],
  ['a length in hexadecimal', `Content-Length: 0x${hidden.length.toString(16)}`, hidden],
  ['a length with a blank in it', `Content-Length: 1 ${hidden.length}`, hidden],
  ['a negative length', 'Content-Length: -1', hidden],
  ['a length that overflows', 'Content-Length: 18446744073709551616', hidden],
  ['chunk extensions', 'Transfer-Encoding: chunked', `2;x="\r\n${hidden}"\r\nab\r\n0\r\n\r\n`],
  ['a chunk extension with a bare line feed', 'Transfer-Encoding: chunked', `2;x\nab\r\n0\r\n\r\n${hidden}`],
  ['a chunk size with a sign', 'Transfer-Encoding: chunked', `+2\r\nab\r\n0\r\n\r\n${hidden}`],
  ['a chunk size that overflows', 'Transfer-Encoding: chunked', `10000000000000002\r\nab\r\n0\r\n\r\n${hidden}`],
  ['chunks that end with bare line feeds', 'Transfer-Encoding: chunked', `2\nab\n0\n\n${hidden}`],
  ['more bytes than a chunk announces', 'Transfer-Encoding: chunked', `2\r\nabcd\r\n0\r\n\r\n${hidden}`],
  [
    'trailers that are headers',
    'Transfer-Encoding: chunked',
    `0\r\nContent-Length: 50\r\nHost: evil\r\nInjected: y\r\n\r\n${hidden}`,
  ],
  ['an upgrade with a body', `Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: ${hidden.length}`, hidden],
  [
    'an upgrade to HTTP/2',
    `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: ${hidden.length}`,
    hidden,
  ],
  ['an expectation', `Expect: 100-continue\r\nContent-Length: ${hidden.length}`, hidden],
  [
    'headers of the hop that name the framing',
    `Connection: close, Content-Length, X-Forwarded-For, Host\r\nContent-Length: ${hidden.length}`,
    hidden,
  ],
];

const shortForm = ['CL.TE', 'TE.CL', 'TE.TE', 'obs-fold', 'bare line feed before'];

async function attempt(world: World, headers: string, body: string): Promise<string> {
  const { target, attacker } = world;
  await startCapture(world);
  await readCapture(world);
  const routing = Object.entries(toPort(attacker.sandboxId, capturePort)).map(([name, value]) => `${name}: ${value}`);
  const head = ['POST /first HTTP/1.1', 'Host: localhost', ...routing, headers].join('\r\n');
  const answer = await sendRaw(target.port, `${head}\r\n\r\n${body}`);
  const connections = await readCapture(world);
  refuseSmuggled(connections);
  const statuses = [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status);
  return `${connections.length} connections arrived, all requests checked; answers ${statuses.join(', ') || 'none'}`;
}

/** The judge itself: it must find a request that is hidden in plain sight. */
async function findsSmuggled(): Promise<string> {
  const checked =
    'POST / HTTP/1.1\r\nX-Forwarded-For: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n';
  await Promise.resolve();
  for (const bytes of [`${checked}${ended}`, `${checked}abcde${hidden}`, hidden, hidden.replaceAll('\r', '')]) {
    try {
      refuseSmuggled([bytes]);
    } catch (error) {
      if (error instanceof Breach) continue;
      throw error;
    }
    throw new Error(`the judge does not see the request in ${JSON.stringify(bytes)}`);
  }
  return 'the judge sees requests that are smuggled in four ways';
}

export const smuggling: readonly Scene[] = [
  {
    ...{ kind: 'scene', wall: 'edge', by: ['outside'], pace: 'quick' },
    name: 'control: smuggled requests would be seen',
    run: findsSmuggled,
  },
  ...forms.map(([name, headers, body]): Scene => ({
    ...{ kind: 'scene', wall: 'edge', by: ['outside'] },
    name: `smuggles a request behind ${name}`,
    pace: shortForm.some((part) => name.includes(part)) ? 'quick' : 'long',
    run: async (world) => await attempt(world, headers, body),
  })),
];
