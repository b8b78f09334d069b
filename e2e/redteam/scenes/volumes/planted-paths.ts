import { statSync } from 'node:fs';
import { Breach, refuseBreaches } from '../../attempt.ts';
import type { Scene } from '../../attempt.ts';
import type { World } from '../../world.ts';
import { askContents, contentCalls, withVolumes } from './both-teams.ts';

/** Names in the volume that lead out of it, if anybody on the host follows them. `P` has the file of the host. */
const plant = `
import os, socket, sys
host = sys.argv[1]
os.chdir('/data')
os.symlink(host, 'absolute')
os.symlink('../' * 40 + host.lstrip('/'), 'relative')
os.symlink('/', 'root')
os.symlink('..', 'up')
os.symlink('/proc/self/root' + host, 'proc')
os.symlink('/proc/self/environ', 'environ')
os.symlink('absolute', 'twice')
os.symlink('loop', 'loop')
os.symlink('/dev/zero', 'device')
os.mkfifo('fifo')
listener = socket.socket(socket.AF_UNIX)
listener.bind('socket')
os.mkdir('folder')
os.symlink('../up', 'folder/up')
open(b'name-\\xff\\xfe', 'w').close()
open(b'n' * 255, 'w').close()
open('..%2f..%2fetc', 'w').close()
`;

const up = (count: number, by = '..%2f'): string => by.repeat(count);

/** Paths as they stand in the query. All of them lead out of the volume, or are none. */
const leadingOut = (file: string): string[] => [
  ...[`${up(1)}x`, `${up(40)}${file}`, `%2f${up(40)}${file}`, `folder%2f${up(40)}${file}`, `..`, `%2f..`],
  ...[`${up(40, '%2e%2e/')}${file}`, `${up(40, '.%2e/')}${file}`, `${file}%00`, `%00`, `own%00.txt`],
  ...['absolute', 'relative', 'proc', 'environ', 'twice', 'loop', 'device'],
  ...[`root${file}`, `root%2fetc%2fpasswd`, `up${file}`, `folder%2fup${file}`, `folder%2fup%2fup%2fetc%2fpasswd`],
  ...[`own%2f${up(30)}${file}`, `fifo%2f..%2f..%2f${file}`, 'x'.repeat(256), `${'x%2f'.repeat(2100)}x`],
];

/** Other spellings, which are names in the volume at best. */
const odd = (file: string): string[] => [
  ...[`%252e%252e%252f${file}`, `%c0%ae%c0%ae%2f${file}`, `..%5c..%5c${file}`, `%ff%fe`, 'name-%ff%fe'],
  ...['fifo', 'socket', '..%252f..%252fetc', '~root%2f.ssh', '$(id)', "'%3b%20id%20%3b'"],
];

const describe = (path: string): string => {
  const { ino, size, mode, uid, mtimeMs, ctimeMs } = statSync(path);
  return [ino, size, mode, uid, mtimeMs, ctimeMs].join(' ');
};

async function followPlanted(world: World): Promise<string> {
  const { host } = world;
  const files = [host.file, '/etc/passwd'];
  const before = files.map(describe);
  return await withVolumes(world, async ({ own }) => {
    await world.withSandbox(
      async (sandbox) => {
        await sandbox.files.write('/tmp/plant.py', plant);
        await sandbox.commands.run(`python3 /tmp/plant.py ${host.file}`, { user: 'root' });
      },
      { volumeMounts: { '/data': own.name } },
    );
    const breaches: string[] = [];
    const refused: string[] = [];
    const file = encodeURIComponent(host.file);
    const bad = new Set(leadingOut(file));
    // Moves and removals come last: they may take a link away, but never what it leads to.
    const paths = [...bad, ...odd(file)];
    const calls = paths.flatMap((path) => contentCalls(own.id, path).map((call) => ({ path, call })));
    const isLast = ({ call: [method, at] }: (typeof calls)[number]): boolean =>
      method === 'DELETE' || at.includes('/rename?');
    for (const { path, call } of [...calls.filter((each) => !isLast(each)), ...calls.filter(isLast)]) {
      const [method, at, body] = call;
      const answer = await askContents(world, own.token, [method, at], body);
      const what = `${method} of ${path.slice(0, 80)}`;
      if (answer.status >= 500) breaches.push(`${what} returns ${answer.status}`);
      if (answer.body.includes(host.word) || /root:x:0:0|SOULBOX_/.test(answer.body)) breaches.push(`${what} tells it`);
      // A link itself may be described, moved and removed; a bad path is nothing at all.
      const isOfLink = (at.includes('/path?') && ['GET', 'DELETE'].includes(method)) || at.includes('/rename?');
      if (bad.has(path) && !isOfLink && answer.status < 400) breaches.push(`${what} returns ${answer.status}`);
      if (answer.status >= 400) refused.push(what);
    }
    const after = files.map(describe);
    for (const [index, text] of before.entries())
      if (after[index] !== text) breaches.push(`${files[index] ?? ''} of the host has changed`);
    refuseBreaches(breaches);
    const kept = await askContents(world, own.token, ['GET', `/volumecontent/${own.id}/file?path=/own`]);
    if (kept.body !== 'own') throw new Breach(`a file of the volume has become "${kept.body}"`);
    if (refused.length < bad.size * 4) throw new Error(`only ${refused.length} calls were refused`);
    return `${refused.length} of ${calls.length} calls refused, none followed`;
  });
}

export const plantedPaths: readonly Scene[] = [
  {
    ...{ kind: 'scene', wall: 'hostPaths', by: ['outside'], pace: 'quick' },
    name: 'follows links and paths out of a volume by its content API',
    run: followPlanted,
  },
];
