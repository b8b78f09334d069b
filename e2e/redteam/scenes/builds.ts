import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import { serverMemoryMib } from '@soulbox/testing';
import { Breach, refuseBreaches } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import { hostPython } from '../host-witness.ts';
import type { World } from '../world.ts';
import { ask } from './raw.ts';
import type { RawAnswer } from './raw.ts';

const growthMib = 250;
const buildMs = 120_000;

async function call(world: World, method: string, path: string, body?: object): Promise<RawAnswer> {
  const headers = {
    'x-api-key': world.target.apiKey,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
  return await ask(world.target.port, path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

interface Upload {
  readonly templateId: string;
  readonly buildId: string;
  readonly hash: string;
  /** Path and query of the link. */
  readonly link: string;
}

async function withTemplate<T>(world: World, use: (upload: Upload) => Promise<T>): Promise<T> {
  const name = `redteam-${randomBytes(6).toString('hex')}`;
  const made = await call(world, 'POST', '/v3/templates', { name });
  const { templateID: templateId, buildID: buildId } = JSON.parse(made.body) as { templateID: string; buildID: string };
  try {
    const hash = createHash('sha256').update(name).digest('hex');
    const { url } = JSON.parse((await call(world, 'GET', `/templates/${templateId}/files/${hash}`)).body) as {
      url: string;
    };
    const { pathname, search } = new URL(url);
    return await use({ templateId, buildId, hash, link: pathname + search });
  } finally {
    await call(world, 'DELETE', `/templates/${templateId}`);
  }
}

/** Uploads a hostile archive and copies it into a template. Returns how the build ended. */
async function buildFrom(world: World, kind: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-redteam-'));
  try {
    const file = join(folder, 'archive');
    await run(hostPython, [join(import.meta.dirname, 'archive.py'), kind, file, dirname(world.host.file)], {
      timeoutMs: 60_000,
    });
    const body = await readFile(file);
    return await withTemplate(world, async ({ templateId, buildId, hash, link }) => {
      const { status } = await ask(world.target.port, link, { method: 'PUT', body });
      if (status >= 300) return `the upload returned ${status}`;
      const steps = [{ type: 'COPY', args: ['x', '/srv/x'], filesHash: hash }];
      const started = await call(world, 'POST', `/v2/templates/${templateId}/builds/${buildId}`, {
        fromTemplate: 'base',
        steps,
      });
      if (started.status >= 300) throw new Error(`the build returns ${started.status}: ${started.body}`);
      return await awaitBuild(world, templateId, buildId);
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function awaitBuild(world: World, templateId: string, buildId: string): Promise<string> {
  const giveUpAt = Date.now() + buildMs;
  while (Date.now() < giveUpAt) {
    const harm = await world.neighbor.findHarm();
    if (harm.length > 0) throw new Breach(harm.join('; '));
    const { body } = await call(world, 'GET', `/templates/${templateId}/builds/${buildId}/status?logsOffset=0`);
    const { status, reason } = JSON.parse(body) as { status: string; reason?: { message?: string } };
    if (status === 'ready') return 'the build succeeded';
    if (status === 'error') return `the build ended: ${(reason?.message ?? '').slice(0, 300)}`;
    await sleep(300);
  }
  throw new Error('the build does not end');
}

async function leaveArchive(world: World): Promise<string> {
  const folder = dirname(world.host.file);
  const before = await readdir(folder);
  const outcome = await buildFrom(world, 'outside');
  const planted = (await readdir(folder)).filter((name) => !before.includes(name));
  refuseBreaches(planted.map((name) => `the archive made ${name} on the host`));
  if ((await readFile(world.host.file, 'utf8')).trim() !== world.host.word)
    throw new Breach('the archive changed a file of the host');
  return `${outcome}; the folder of the host is unchanged`;
}

async function growArchive(world: World): Promise<string> {
  const before = serverMemoryMib(world.target.pid);
  const outcome = await buildFrom(world, 'bomb');
  const growth = Math.round(serverMemoryMib(world.target.pid) - before);
  if (growth > growthMib) throw new Breach(`the server has grown by ${growth} MiB`);
  return `2 GiB of zeros: ${outcome}, the neighbor answered meanwhile, the server grew by ${growth} MiB`;
}

async function forgeLinks(world: World): Promise<string> {
  return await withTemplate(world, async ({ link, hash }) => {
    const forged = [
      link.replace(hash, 'b'.repeat(64)),
      link.replace(hash, '..%2f..%2fx'),
      link.replace(hash, `${hash}%2f..%2fx`),
      link.replace(hash, hash.toUpperCase()),
      link.replace(/expires=\d+/, 'expires=99999999999999'),
      link.replace(/signature=[^&]+/, 'signature='),
      link.replace(/&?signature=[^&]+/, ''),
      link.replace(/templates\/[^/]+/, 'templates/base'),
      `${link}&expires=99999999999999`,
      `${link}x`,
    ];
    const breaches: string[] = [];
    for (const path of forged) {
      const { status } = await ask(world.target.port, path, { method: 'PUT', body: 'x' });
      if (status < 400) breaches.push(`${path} returns ${status}`);
    }
    refuseBreaches(breaches);
    if ((await ask(world.target.port, link, { method: 'PUT', body: 'x' })).status >= 300)
      throw new Error('the right link fails');
    return `${forged.length} forged links refused; the right one works`;
  });
}

const build = { kind: 'scene', by: ['outside'] } as const;

export const builds: readonly Scene[] = [
  {
    ...build,
    wall: 'plantedLinks',
    pace: 'long',
    name: 'builds from an archive whose files lie outside of it',
    run: leaveArchive,
  },
  {
    ...build,
    wall: 'floods',
    pace: 'long',
    name: 'builds from an archive that grows when it is unpacked',
    run: growArchive,
  },
  { ...build, wall: 'teams', pace: 'quick', name: 'forges links for uploads', run: forgeLinks },
];
