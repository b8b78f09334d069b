import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Breach } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';

/** Sandboxes have ids from here on (docs/decisions/004). */
const firstSandboxId = 2 ** 28;

/** A program with the setuid bit makes root of a user, but root of the sandbox. The host tells whose process it is. */
async function startSetuid(world: World): Promise<string> {
  return await world.withSandbox(async (sandbox) => {
    const mark = `77${String(Math.floor(Math.random() * 1e6)).padStart(6, '0')}`;
    await sandbox.commands.run(
      'cp "$(readlink -f /usr/bin/python3)" /usr/local/bin/redteam && chmod 6755 /usr/local/bin/redteam',
      { user: 'root' },
    );
    const program = `import os; os.setresuid(0, 0, 0); os.execv('/bin/sleep', ['sleep', '${mark}'])`;
    await sandbox.commands.run(`exec /usr/local/bin/redteam -c "${program}"`, { background: true, timeoutMs: 0 });
    for (let n = 0; n < 600; n += 1) {
      const ids = findIds(`sleep\0${mark}\0`);
      if (ids !== undefined) {
        const low = ids.filter((id) => id < firstSandboxId);
        if (low.length > 0) throw new Breach(`on the host it has the ids ${ids.join(' ')}`);
        return `root inside, and ${ids.join(' ')} on the host`;
      }
      await sleep(50);
    }
    throw new Error('the program did not start');
  });
}

function findIds(commandLine: string): number[] | undefined {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, 'latin1') !== commandLine) continue;
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      return ['Uid', 'Gid'].flatMap((name) =>
        (new RegExp(`^${name}:\\s+(.*)$`, 'm').exec(status)?.[1] ?? '').split(/\s+/).map(Number),
      );
    } catch {
      // It has ended meanwhile.
    }
  }
  return undefined;
}

export const setuid: readonly Scene[] = [
  {
    ...{ kind: 'scene', wall: 'privilegesOutside', by: ['user'], pace: 'quick' },
    name: 'starts a program with the setuid bit of root',
    run: startSetuid,
    notInOwnKernel: 'it ignores the bit',
  },
];
