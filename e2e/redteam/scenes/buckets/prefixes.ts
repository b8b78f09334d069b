import { refuseBreaches } from '../../attempt.ts';
import type { Scene } from '../../attempt.ts';
import type { World } from '../../world.ts';
import { storeUrl, withBucket, withMounted } from './known-bucket.ts';

/** Tries names that could become keys outside of the prefix, and reads and lists all that it can. */
const leave = `
import os, json
seen, texts, wrote = [], [], []
names = [b'..', b'../secret/key', b'../../secret/key', b'/data/../secret/key', b'..\\\\secret\\\\key', b'..%2fsecret%2fkey',
  b'%2e%2e%2fsecret%2fkey', b'folder/../../secret/key', b'folder/..', b'.', b'', b'secret/key', b'\\xc0\\xae\\xc0\\xae/secret/key',
  b'\\xff\\xfe', b'a\\\\b', b'a\\nb', b'a\\x01b', b'..;/secret', b'..\\x00', b'?prefix=secret', b'#', b'ok?versions', b'%00', b'a b+c&d=e',
  b'n' * 255, b'x/' * 600 + b'x', '\\u2025/secret'.encode(), '\\uff0e\\uff0e/secret'.encode()]
for name in names:
  for folder in (b'/data/', b'/data/folder/'):
    path = folder + name
    try: texts.append(open(path, 'rb').read(100).decode('latin1'))
    except (OSError, ValueError): pass
    for work in (lambda: open(path, 'wb').close(), lambda: os.mkdir(path), lambda: os.rename(b'/data/ok', path),
      lambda: os.unlink(path), lambda: os.rmdir(path), lambda: os.listdir(path)):
      try: work()
      except (OSError, ValueError): pass
for folder, folders, files in os.walk(b'/data'):
  for name in folders + files: seen.append(os.path.join(folder, name).decode('latin1'))
  for name in files:
    try: texts.append(open(os.path.join(folder, name), 'rb').read(100).decode('latin1'))
    except OSError: pass
  if len(seen) > 2000: break
print(json.dumps([seen, texts]))
`;

async function leavePrefix(world: World): Promise<string> {
  const { outside } = world;
  const credentials = { accessKeyId: 'AKIAREDTEAM', secretAccessKey: 'no-secret' };
  const url = `s3://lying?region=us-east-1&insecure=true&endpoint=${storeUrl}`;
  return await withBucket(world, { url, credentials }, async (name) => {
    await outside.forget();
    const breaches: string[] = [];
    let count = 0;
    await withMounted(world, { name, prefix: 'team/' }, async (sandbox) => {
      await sandbox.files.write('/tmp/leave.py', leave);
      for (const user of ['user', 'root'] as const) {
        const { stdout } = await sandbox.commands.run('python3 /tmp/leave.py', { user, timeoutMs: 200_000 });
        const [seen, texts] = JSON.parse(stdout) as [string[], string[]];
        if (texts.includes('stolen')) breaches.push(`${user} reads an object outside of the prefix`);
        if (!texts.includes('inside')) throw new Error(`${user} does not read its own objects either: ${seen.join()}`);
        for (const path of seen)
          if (/secret|\\|passwd|teamster|n{256}|\/\.\.?(\/|$)/.test(path.slice('/data'.length)))
            if (!path.includes('%2e') && !path.includes('%2f')) breaches.push(`${user} sees ${path}`);
        count += seen.length;
      }
    });
    const heard = (await outside.heard()).filter((text) => text.startsWith('store '));
    for (const text of heard) {
      const key = text.split(' ').slice(3).join(' ');
      const parts = key.split('/');
      if (!key.startsWith('team/') || parts.includes('..') || parts.includes('.')) breaches.push(`asked: ${text}`);
    }
    refuseBreaches(breaches);
    if (heard.length < 20) throw new Error(`only ${heard.length} requests reached the store`);
    return `${heard.length} requests below the prefix, ${count} names seen, none of the lies`;
  });
}

export const bucketPrefixes: readonly Scene[] = [
  {
    ...{ kind: 'scene', wall: 'bucketPrefix', by: ['user', 'root'], pace: 'quick' },
    name: 'leaves the prefix of a bucket by names, and by lists of a store that lies',
    run: leavePrefix,
  },
];
