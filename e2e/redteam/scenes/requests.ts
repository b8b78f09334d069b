import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Sandbox } from 'e2b';
import { Breach, refuseBreaches } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';
import { ask, sendRaw, toPort } from './raw.ts';
import { callRoute, listRoutes } from './routes.ts';
import { capturePort, readCapture, startCapture } from './smuggling.ts';

const envdPort = 49983;

const badIds = [
  '..%2F..%2F..%2Fetc%2Fpasswd',
  '..',
  '%2e%2e',
  '..%5c..%5cetc',
  'i%00',
  'i%0d%0aX:%20y',
  `i'%20OR%20'1'='1`,
  '%E0%A4',
  '%EF%BD%89',
  '-1',
  '__proto__',
  'i'.repeat(5000),
];

async function badIdsEverywhere(world: World): Promise<string> {
  const routes = (await listRoutes(world)).filter(({ path }) => path.includes('{'));
  const breaches: string[] = [];
  for (const { method, path } of routes)
    for (const id of badIds) {
      const { status, body } = await callRoute(world, method, path.replace(/\{[^}]+\}/g, id), world.target.apiKey);
      // Routes of later versions say so before they look at anything. The events of an unknown sandbox are none.
      if (status !== 501 && body !== '[]' && (status < 400 || status >= 500))
        breaches.push(`${method} ${path} with ${id.slice(0, 30)} returns ${status}`);
      if (/root:x:0:0|\/var\/lib\/soulbox|SQLITE|node:internal/.test(body))
        breaches.push(`${method} ${path} with ${id.slice(0, 30)} shows ${body.slice(0, 200)}`);
    }
  refuseBreaches(breaches);
  return `${routes.length} routes with ${badIds.length} malformed ids each return 4xx and show nothing`;
}

const climbs = [
  '',
  '/..',
  '/../../../../../../../../..',
  '/proc/1/root',
  '/proc/self/cwd/../../../../..',
  '/dev/fd/3/../../..',
  '/.soulbox/../..',
  '/%2e%2e/%2e%2e',
];

/** Files of the host by paths of envd. The same forms must reach a file of the sandbox, or they are no attempts. */
async function climbOut(world: World): Promise<string> {
  const { target, attacker, attackerToken, host } = world;
  const headers = { ...toPort(attacker.sandboxId, envdPort), 'x-access-token': attackerToken };
  const breaches: string[] = [];
  let reached = 0;
  for (const climb of climbs)
    for (const user of ['user', 'root']) {
      const get = async (path: string) =>
        await ask(target.port, `/files?username=${user}&path=${encodeURIComponent(climb + path)}`, { headers });
      const stolen = await get(host.file);
      if (stolen.status === 200 || stolen.body.includes(host.word))
        breaches.push(`${climb} leads to a file of the host`);
      if ((await get('/etc/hostname')).status === 200) reached += 1;
      const rpc = await ask(target.port, '/filesystem.Filesystem/Stat', {
        ...{ method: 'POST', headers: { ...headers, 'content-type': 'application/json' } },
        body: JSON.stringify({ path: climb + host.file }),
      });
      if (rpc.status === 200) breaches.push(`Stat of ${climb}${host.file} finds a file of the host`);
    }
  refuseBreaches(breaches);
  if (reached < 4) throw new Error(`only ${reached} forms lead to a file of the sandbox`);
  return `${climbs.length} ways out lead to no file of the host; ${reached} of them lead to files of the sandbox`;
}

/** A command whose working directory is one of envd's descriptors (CVE-2024-21626). */
async function climbByDescriptor({ attacker, host }: World): Promise<string> {
  const breaches: string[] = [];
  let tried = 0;
  for (let descriptor = 3; descriptor < 20; descriptor += 1)
    for (const user of ['user', 'root']) {
      const cwd = `/proc/self/fd/${descriptor}`;
      const done = await attacker.commands
        .run(
          `cat ../../../../../../../..${host.file}; pwd -P; ls /proc/1/fd/${descriptor}/ 2>/dev/null | head -3; true`,
          { cwd, user },
        )
        .catch((error: unknown) => ({ stdout: String(error) }));
      tried += 1;
      if (done.stdout.includes(host.word)) breaches.push(`${cwd} of ${user} leads to a file of the host`);
    }
  refuseBreaches(breaches);
  return `${tried} working directories lead to no file of the host`;
}

const hostOnly = ['/init', '/resumed', '/rehearse-resumed', '/soulbox/logs', '/soulbox/metrics'];
const spellings = (path: string): string[] => [
  path,
  `/${path}`,
  `${path}/`,
  `${path}?x`,
  `${path}#x`,
  `${path};x`,
  `${path}%00`,
  `${path}%3fx`,
  `${path}%20`,
  path.toUpperCase(),
  `/.${path}`,
  `/x/..${path}`,
  `/x/%2e%2e${path}`,
  `/files/../${path.slice(1)}`,
  `/%5c${path.slice(1)}`,
  path.replace(/[i-s]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  path.replace(/[i-s]/, (letter) => `%25${letter.charCodeAt(0).toString(16)}`),
  `//evil${path}`,
  `http://localhost${path}`,
];

async function callHostOnly(world: World): Promise<string> {
  const { target, attacker, attackerToken } = world;
  const breaches: string[] = [];
  let tried = 0;
  for (const path of hostOnly.flatMap(spellings))
    for (const method of ['POST', 'GET', 'PUT', 'OPTIONS']) {
      const headers = {
        ...toPort(attacker.sandboxId, envdPort),
        'x-access-token': attackerToken,
        'content-type': 'application/json',
      };
      const text = JSON.stringify({ accessToken: 'taken', envVars: { TAKEN: '1' } });
      const head = [
        `${method} ${path} HTTP/1.1`,
        'Host: localhost',
        ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      ];
      const answer = await sendRaw(
        target.port,
        `${[...head, 'Connection: close', `Content-Length: ${text.length}`].join('\r\n')}\r\n\r\n${text}`,
      );
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 400);
      tried += 1;
      if (status !== 400 && status !== 404 && status !== 405) breaches.push(`${method} ${path} returns ${status}`);
    }
  refuseBreaches(breaches);
  // The old token still counts.
  const { stdout } = await attacker.commands.run('echo "${TAKEN-no}"');
  if (stdout !== 'no\n') throw new Breach('envd was told other variables');
  return `${tried} requests refused, and envd has its token and variables`;
}

/** Header lines of the gateway that a client can neither send nor remove. */
async function forgeHeaders(world: World): Promise<string> {
  const { target, attacker } = world;
  await startCapture(world);
  await readCapture(world);
  const routing = Object.entries(toPort(attacker.sandboxId, capturePort)).map(([name, value]) => `${name}: ${value}`);
  const forged = [
    'X-Forwarded-For: 6.6.6.6',
    'X-Real-IP: 6.6.6.6',
    'Forwarded: for=6.6.6.6',
    'X-Soulbox-Host-Token: forged',
    'X-Forwarded-Host: evil',
  ];
  await sendRaw(
    target.port,
    [
      'GET /first HTTP/1.1',
      'Host: localhost',
      ...routing,
      ...forged,
      'Connection: close, X-Forwarded-For, X-Forwarded-Host, Host',
      '',
      '',
    ].join('\r\n'),
  );
  const [got = ''] = await readCapture(world);
  if (got === '') throw new Error('the request did not arrive');
  const breaches: string[] = [];
  if (/6\.6\.6\.6|forged|evil/.test(got)) breaches.push('a forged header arrived');
  if (!/^x-forwarded-for: 127\.0\.0\.1\r$/im.test(got)) breaches.push('a header of the gateway is missing');
  if (/e2b-sandbox-/i.test(got)) breaches.push('a header for the gateway arrived');
  refuseBreaches(breaches);
  return `${forged.length} forged headers did not arrive; the header of the gateway did`;
}

/** Texts of tenants that come back in headers. */
async function injectByMetadata(world: World): Promise<string> {
  const { target, attacker, attackerToken } = world;
  const evil = 'a\r\nInjected: y\r\n\r\n<b>';
  const breaches: string[] = [];
  for (const body of [
    { templateID: 'base', metadata: { [evil]: 'x' } },
    { templateID: 'base', metadata: { x: evil } },
    { templateID: 'base', network: { maskRequestHost: evil } },
    { templateID: evil },
    { templateID: 'base', envVars: { [evil]: 'x' } },
  ]) {
    const headers = { 'x-api-key': target.apiKey, 'content-type': 'application/json' };
    const answer = await ask(target.port, '/v2/sandboxes', { method: 'POST', headers, body: JSON.stringify(body) });
    if (answer.headers['injected'] !== undefined) breaches.push(`${JSON.stringify(body)} injects a header`);
    if (answer.status === 201) {
      const { sandboxID } = JSON.parse(answer.body) as { sandboxID: string };
      const info = await ask(target.port, `/sandboxes/${sandboxID}`, { headers });
      if (info.headers['injected'] !== undefined) breaches.push(`${JSON.stringify(body)} injects a header later`);
      await Sandbox.kill(sandboxID);
    }
  }
  await attacker.commands.run(
    `printf x > "/tmp/$(printf 'a\\r\\nInjected: y\\r\\n\\r\\nz')"; printf x > '/tmp/a";injected="y'; printf x > "/tmp/$(printf 'b\\nInjected: y')"`,
  );
  const head = Object.entries({ ...toPort(attacker.sandboxId, envdPort), 'X-Access-Token': attackerToken }).map(
    ([name, value]) => `${name}: ${value}`,
  );
  let downloads = 0;
  for (const name of ['a\r\nInjected: y\r\n\r\nz', 'b\nInjected: y', 'a";injected="y']) {
    const path = `/files?path=${encodeURIComponent(`/tmp/${name}`)}`;
    const answer = await sendRaw(
      target.port,
      ['GET ' + path + ' HTTP/1.1', 'Host: localhost', ...head, 'Connection: close', '', ''].join('\r\n'),
    );
    if (/^HTTP\/1\.1 200/.test(answer)) downloads += 1;
    if (/^injected:/im.test(answer)) breaches.push(`the file ${JSON.stringify(name)} injects a header`);
  }
  refuseBreaches(breaches);
  if (downloads === 0) throw new Error('no file with such a name could be read');
  return `5 creates and ${downloads} downloads have no header of the attacker`;
}

/** Each line of the server's log must stay one entry. */
async function injectIntoLog(world: World): Promise<string> {
  const { target } = world;
  const line = '{"level":"info","msg":"forged-by-redteam"}';
  const evil = encodeURIComponent(`x\n${line}\n`);
  const headers = { 'x-api-key': target.apiKey, 'user-agent': `a ${line}`, 'x-request-id': line };
  for (const path of [
    `/sandboxes/${evil}`,
    `/sandboxes/${evil}/logs`,
    `/templates/${evil}`,
    `/v2/sandboxes?metadata=${evil}`,
  ])
    await ask(target.port, path, { headers });
  await Sandbox.create({ metadata: { 'a\nb': `x\n${line}\n` } }).then(
    async (sandbox) => await sandbox.kill(),
    () => undefined,
  );
  const files = (await readdir(target.dataDirectory))
    .filter((name) => name.endsWith('.log'))
    .map((name) => join(target.dataDirectory, name));
  let lines = 0;
  for (const file of files)
    for (const text of (await readFile(file, 'utf8')).split('\n')) {
      if (!text.startsWith('{')) continue;
      lines += 1;
      const entry = JSON.parse(text) as { msg?: string };
      if (entry.msg === 'forged-by-redteam') throw new Breach('the log has a forged entry');
    }
  if (lines === 0) throw new Error('the server has no log');
  return `${lines} entries of the log are all of the server`;
}

const edge = { kind: 'scene', by: ['outside'], pace: 'quick' } as const;

export const requests: readonly Scene[] = [
  { ...edge, wall: 'edge', name: 'calls every route with malformed ids and paths', run: badIdsEverywhere },
  { ...edge, wall: 'hostPaths', name: 'reads files of the host by paths of envd', run: climbOut },
  {
    ...edge,
    wall: 'hostPaths',
    name: 'starts commands in descriptors of envd (CVE-2024-21626)',
    run: climbByDescriptor,
  },
  { ...edge, wall: 'edge', name: 'calls host-only routes of envd in every spelling', run: callHostOnly },
  { ...edge, wall: 'edge', name: 'forges and removes headers of the gateway', run: forgeHeaders },
  { ...edge, wall: 'edge', name: 'injects headers by metadata and file names', run: injectByMetadata },
  { ...edge, wall: 'edge', name: "injects entries into the server's log", run: injectIntoLog },
];
