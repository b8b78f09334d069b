import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMemory, whyNoMounts, type MemoryServer } from '../testing/start-memory.ts';

const run = promisify(execFile);
const program = (name: string): string => join(import.meta.dirname, '../testing', name);

describe.skipIf(whyNoMounts !== undefined)(`a memory file system${whyNoMounts ? ` (${whyNoMounts})` : ''}`, () => {
  describe.each([
    { name: 'with locks of the kernel', options: {} },
    {
      name: 'with its own locks, and nothing remembered',
      options: { fs: { locks: true, ttlMs: 0 }, mount: { locks: true } },
    },
    { name: 'with the write-back cache and threads', options: { mount: { writebackCache: true, reader: 'pool' } } },
  ])('$name', ({ options }) => {
    let server: MemoryServer;
    let root: string;
    let attempt = 0;
    beforeAll(async () => {
      server = await startMemory(options);
      [root] = server.mountPoints as [string];
    });
    afterAll(async () => {
      await server[Symbol.asyncDispose]();
      expect(server.faults).toEqual([]);
    });

    test('returns from each call what POSIX and Linux promise', async () => {
      attempt += 1;
      const folder = join(root, `posix-${attempt}`);
      const { stdout, stderr } = await run('/usr/bin/python3', [program('posix.py'), folder]).catch(
        (error: unknown) => error as { stdout: string; stderr: string },
      );
      expect(stderr).toBe('');
      const { checks, differences } = JSON.parse(stdout) as { checks: number; differences: string[] };
      expect(differences).toEqual([]);
      expect(checks).toBeGreaterThan(400);
    });

    test('has the content of a model after random calls', async () => {
      const file = join(root, 'random');
      const seed = String(Math.floor(Math.random() * 1_000_000));
      const { stdout } = await run('/usr/bin/python3', [program('random_content.py'), file, '300', seed]);
      expect(stdout).toContain('all equal');
    });
  });
});
