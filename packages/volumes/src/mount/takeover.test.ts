/** @module-tag violation */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { superviseMounts } from '@soulbox/fuse';
import type { SupervisorEvent } from '@soulbox/fuse';
import { describe, expect, test } from 'vitest';
import { checkVolume } from '../check/check-volume.ts';
import { noQuota, root } from '../testing/fresh-volume.ts';
import { createVolume, openVolume } from '../volume/open.ts';

const program = join(import.meta.dirname, '../testing/inherited-server.ts');
const load = join(import.meta.dirname, '../../../fuse/src/testing/takeover_load.py');
const whyNot = existsSync('/dev/fuse') ? undefined : '/dev/fuse is missing';
const kills = 2;
const compileCache = join(import.meta.dirname, '../../../../node_modules/.cache/tests-compile');

describe.skipIf(whyNot !== undefined)(`a supervised volume${whyNot === undefined ? '' : ` (${whyNot})`}`, () => {
  test('shows nothing to its users when its server is killed', async () => {
    const data = await mkdtemp(join(tmpdir(), 'soulbox-volume-'));
    createVolume(data, { id: 'v', quota: noQuota, root });
    const mountPoint = join(data, 'mount');
    await mkdir(mountPoint);
    const events: SupervisorEvent[] = [];
    const takeovers = (): number => events.filter((event) => event.type === 'serving' && event.isTakeover).length;
    {
      await using supervisor = await superviseMounts({
        mounts: [{ mountPoint }],
        ...{ program, args: [data, 'v'], execArgv: ['--conditions=soulbox-source'] },
        env: { NODE_COMPILE_CACHE: compileCache },
        onEvent: (event) => void events.push(event),
      });
      const child = spawn('/usr/bin/python3', [load, mountPoint], { stdio: ['pipe', 'pipe', 'pipe'] });
      let [output, errors] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
      const ended = once(child, 'close');
      while (!output.includes('started') && child.exitCode === null) await sleep(5);
      while (takeovers() < kills && child.exitCode === null) {
        await sleep(20 + Math.random() * 100);
        const pid = supervisor.serverPid();
        const before = takeovers();
        if (pid === undefined) continue;
        process.kill(pid, 'SIGKILL');
        while (takeovers() === before) await sleep(5);
      }
      child.stdin.end();
      expect([await ended, errors]).toEqual([[0, null], '']);
      await supervisor.unmount();
    }
    {
      await using volume = await openVolume(data, 'v');
      expect(await checkVolume(volume)).toMatchObject({ faults: [] });
      expect(await volume.metadata.listOrphans(0, 10)).toEqual([]);
    }
    await removeTree(data);
  });
});
