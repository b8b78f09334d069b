import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { run, SoulBoxError } from '@soulbox/base';
import type { SandboxSpec } from '../driver.ts';
import type { Stage } from './stage.ts';
import { hostTraces } from './host-traces.ts';

/** Starts that fail, and unusual template roots. */
export function describeFailures(stage: Stage): void {
  describe('failures', () => {
    const expectNothingLeft = async (spec: SandboxSpec): Promise<void> => {
      expect(await hostTraces(spec)).toEqual([]);
      expect(await stage.bench.driver.listTraces()).not.toContain(spec.sandboxId);
      expect(await run('find', [spec.directory, '-mindepth', '1']).catch(() => '')).toBe('');
    };

    test('a network that cannot be attached fails the start and leaves nothing', async () => {
      const spec = await stage.bench.createSpec({
        attachNetwork: () => Promise.reject(new SoulBoxError('limit_exceeded', 'No address is left.')),
      });
      await expect(stage.bench.driver.start(spec)).rejects.toThrow('No address is left.');
      await expectNothingLeft(spec);
    });

    /** A process may take time to die: if the sandbox did start, it is found dead later, and then removed. */
    const expectDead = async (spec: SandboxSpec): Promise<void> => {
      const started = await stage.bench.driver.start(spec).catch((error: unknown) => {
        expect(error).toMatchObject({ reason: 'sandbox_start_failed' });
      });
      if (started === undefined) return;
      for (let tries = 0; tries < 200 && stage.bench.driver.isAlive(started); tries++) await sleep(10);
      expect(stage.bench.driver.isAlive(started)).toBe(false);
      await stage.bench.driver.destroy(spec.sandboxId, spec.directory);
    };

    test('if the sandbox dies while its network is attached, the start or isAlive notices it', async () => {
      const spec = await stage.bench.createSpec({
        attachNetwork: (namespace) => {
          process.kill(Number(/\d+/.exec(namespace)?.[0]), 'SIGKILL');
          return Promise.resolve();
        },
      });
      await expectDead(spec);
      await expectNothingLeft(spec);
    });

    test.each([
      ['a template that is not there', { rootfs: '/proc/nowhere' }],
      [
        'an envd bundle that is not there',
        {
          envdBundle: {
            directory: '/proc/nowhere',
            mountPoint: '/.soulbox',
            command: ['/x'],
            environment: [],
            forOwnKernel: [],
          },
        },
      ],
      ['a disk too small for a file system', { limits: { cpus: 1, memoryMb: 128, diskMb: 0, maxProcesses: 100 } }],
    ] as const)('%s fails the start and leaves nothing', async (_, changes) => {
      const spec = await stage.bench.createSpec(changes);
      await expect(stage.bench.driver.start(spec)).rejects.toMatchObject({ reason: 'sandbox_start_failed' });
      await expectNothingLeft(spec);
    });

    test('if envd cannot be run, the start or isAlive notices it', async () => {
      const envdBundle = { ...stage.envdBundle, command: [`${stage.envdBundle.mountPoint}/missing`] };
      const spec = await stage.bench.createSpec({ envdBundle });
      await expectDead(spec);
      await expectNothingLeft(spec);
    });

    test('an empty root is enough', async () => {
      await using root = await temporaryRoot();
      await using sandbox = await stage.bench.start({ rootfs: root.path });
      expect((await fetch(sandbox.healthUrl)).status).toBe(204);
      expect(await run('find', [root.path, '-mindepth', '1'])).toBe('');
    });

    test('links in the template do not lead outside of it', async () => {
      await using root = await temporaryRoot();
      await using outside = await temporaryRoot();
      await writeFile(join(outside.path, 'resolv.conf'), 'untouched');
      await mkdir(join(root.path, 'run'));
      await symlink(outside.path, join(root.path, 'etc'));
      await symlink('../../../../../..', join(root.path, 'dev'));
      await symlink(`/proc/1/root${outside.path}`, join(root.path, 'run/soulbox'));
      const spec = await stage.bench.createSpec({ rootfs: root.path });
      const started = await stage.bench.driver.start(spec).catch(() => undefined);
      if (started !== undefined) await stage.bench.driver.destroy(spec.sandboxId, spec.directory);
      expect(await run('find', [outside.path, '-mindepth', '1', '-printf', '%P %s\n'])).toBe('resolv.conf 9\n');
      await expectNothingLeft(spec);
    });

    test(
      'after a server is killed at any moment of a start, destroy can remove the rest',
      { tags: ['long'], timeout: 120_000 },
      async () => {
        const { tested, bench } = stage;
        const usual = await measureStart();
        // Other moments each time, one in each eighth of a start and a bit more.
        const moments = Array.from({ length: 9 }, (_, index) => ((index + Math.random()) / 8) * usual);
        for (const delayMs of moments) {
          const spec = await bench.createSpec();
          await startInOtherProcess(spec, delayMs);
          const later = tested.createDriver();
          await later.destroy(spec.sandboxId, spec.directory);
          await expectNothingLeft(spec);
        }

        async function measureStart(): Promise<number> {
          const startedAt = performance.now();
          const spec = await bench.createSpec();
          await startInOtherProcess(spec, undefined);
          await bench.driver.destroy(spec.sandboxId, spec.directory);
          return performance.now() - startedAt;
        }
      },
    );

    /** Starts a sandbox in a separate process and kills that process after `delayMs`, or lets it finish. */
    async function startInOtherProcess(spec: SandboxSpec, delayMs: number | undefined): Promise<void> {
      const server = spawn(process.execPath, [stage.tested.startProgram, JSON.stringify(spec)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
      await new Promise<void>((resolve) => server.stdout.once('data', () => resolve()));
      if (delayMs !== undefined) {
        await sleep(delayMs);
        server.kill('SIGKILL');
      }
      await ended;
    }
  });
}

async function temporaryRoot(): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'soulbox-root-'));
  await run('chmod', ['755', path]);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
