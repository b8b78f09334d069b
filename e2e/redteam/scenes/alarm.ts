import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rmdir } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '@soulbox/base';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';

/** An id of a sandbox's user, in the range of the instance (docs/decisions/004). */
const sandboxIdOf = (instance: number): number => (instance + 1) * 2 ** 28 + 1_000_000;

/** setpriv needs a moment until it has changed its id. */
const seenWithinMs = 10_000;

/** Makes what an escape would leave: the check after each attempt must find every part of it. */
async function changeHost(world: World): Promise<string> {
  await using undo = new AsyncDisposableStack();
  const escaped = spawn(
    'setpriv',
    ['--reuid', String(sandboxIdOf(world.target.instance)), '--clear-groups', 'sleep', '60'],
    {
      stdio: 'ignore',
    },
  );
  const ended = once(escaped, 'exit');
  undo.defer(async () => {
    escaped.kill('SIGKILL');
    await ended;
  });
  const [, group = ''] = /^\S+ (\S+) cgroup2? /m.exec(readFileSync('/proc/self/mounts', 'utf8')) ?? [];
  const madeGroup = join(group, 'redteam-control');
  await mkdir(madeGroup);
  undo.defer(async () => await rmdir(madeGroup));
  const point = await mkdtemp('/srv/redteam-');
  undo.defer(async () => await rmdir(point));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'none', point]);
  undo.defer(async () => {
    await run('umount', [point]);
  });
  const facts = ['escaped processes', 'control groups', 'mounts'];
  const giveUpAt = Date.now() + seenWithinMs;
  for (;;) {
    const harm = (await world.findHarm()).join('\n');
    const unseen = facts.filter((fact) => !harm.includes(`${fact} of the host has changed`));
    if (unseen.length === 0) break;
    if (Date.now() > giveUpAt) throw new Error(`the check does not see changed ${unseen.join()}: ${harm}`);
    await sleep(50);
  }
  return 'a process, a control group and a mount were seen';
}

export const alarm: readonly Scene[] = [
  {
    ...{ kind: 'scene', wall: 'hostView', by: ['outside'], pace: 'quick' },
    name: 'control: changes of the host would be seen',
    run: changeHost,
  },
];
