import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { writeFileAtomic } from './atomic-file.ts';
import { errorFromUnknown, SoulBoxError } from './error.ts';
import { errorFromNode } from './error-from-node.ts';
import { CommandError, run } from './run.ts';

describe('errors', () => {
  it('get their code from their reason', () => {
    expect(new SoulBoxError('sandbox_not_found', 'gone').code).toBe('not_found');
  });

  it('become a bland internal error if they are unknown, and keep the cause for the log', () => {
    const cause = new Error('password is hunter2');
    const error = errorFromUnknown(cause);
    expect(error.reason).toBe('internal');
    expect(error.message).not.toContain('hunter2');
    expect(error.cause).toBe(cause);
  });

  it('report a full disk, whoever noticed it and whichever step failed', () => {
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    const quota = Object.assign(new Error('EDQUOT'), { code: 'EDQUOT' });
    const program = new CommandError(['cp', 'a', 'b'], 1, "cp: error writing 'b': No space left on device", undefined);
    for (const cause of [full, quota, program, new Error('step', { cause: full }), new AggregateError([quota])]) {
      expect(errorFromUnknown(cause)).toMatchObject({ reason: 'disk_full', cause });
      const vague = new SoulBoxError('sandbox_start_failed', 'no start', { cause });
      expect(errorFromUnknown(vague).reason).toBe('disk_full');
      const exact = new SoulBoxError('state_damaged', 'damaged', { cause });
      expect(errorFromUnknown(exact)).toBe(exact);
    }
    expect(errorFromUnknown(new SoulBoxError('sandbox_start_failed', 'no start')).reason).toBe('sandbox_start_failed');
    const loop = new Error('loop');
    loop.cause = loop;
    expect(errorFromUnknown(loop).reason).toBe('internal');
  });

  it('are translated from errors of Node.js', async () => {
    const missing = await open('/does/not/exist').catch((error: unknown) => errorFromNode(error, 'no such file'));
    expect(missing).toMatchObject({ reason: 'file_not_found', message: 'no such file' });
    expect(errorFromNode(new TypeError('x'), 'odd').reason).toBe('internal');
  });
});

describe('running a program', () => {
  it('returns its output and sends its input', async () => {
    expect(await run('cat', [], { input: 'a\nb' })).toBe('a\nb');
  });

  it('never lets a shell read the arguments', async () => {
    expect(await run('echo', ['$(id)', '; true'])).toBe('$(id) ; true\n');
  });

  it('throws with the exit code and the error output of the program', async () => {
    const error = await run('ls', ['/does/not/exist']).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CommandError);
    expect(error).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('/does/not/exist') as string });
  });

  it('kills a program that takes too long', async () => {
    await expect(run('sleep', ['30'], { timeoutMs: 50 })).rejects.toBeInstanceOf(CommandError);
  });

  it('throws for a program that does not exist', async () => {
    await expect(run('soulbox-no-such-program', [])).rejects.toThrow('ENOENT');
  });
});

describe('replacing a file', () => {
  it('leaves the new content and nothing else', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'soulbox-atomic-'));
    try {
      await writeFileAtomic(join(directory, 'a'), 'one');
      await Promise.all(['two', 'three'].map(async (text) => await writeFileAtomic(join(directory, 'a'), text)));
      expect(['two', 'three']).toContain(await readFile(join(directory, 'a'), 'utf8'));
      expect(await readdir(directory)).toEqual(['a']);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('leaves nothing behind if the content does not fit on the disk', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'soulbox-atomic-'));
    await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory]);
    try {
      await writeFileAtomic(join(directory, 'a'), 'one');
      await expect(writeFileAtomic(join(directory, 'a'), Buffer.alloc(100_000))).rejects.toMatchObject({
        code: 'ENOSPC',
      });
      expect(await readdir(directory)).toEqual(['a']);
      expect(await readFile(join(directory, 'a'), 'utf8')).toBe('one');
    } finally {
      await run('umount', ['--', directory]);
      await rm(directory, { recursive: true });
    }
  });
});
