import { describe, expect, test } from 'vitest';
import { parseConfig } from './config.ts';

const parse = (config: unknown) => parseConfig(JSON.stringify(config));

test('a server of the template gets its arguments from its settings', () => {
  const [filesystem, memory] = parse({ filesystem: { paths: ['/home/user'] }, memory: {} });
  expect(filesystem).toMatchObject({ name: 'filesystem', command: process.execPath, env: {} });
  expect(filesystem?.args).toEqual([expect.stringContaining('server-filesystem'), '/home/user']);
  expect(memory?.env).toEqual({ MEMORY_FILE_PATH: '/var/lib/mcp-gateway/memory.json' });
});

test('a command of the caller runs as written, with its own variables', () => {
  const [program] = parse({ mine: { runCmd: 'echo $A | cat', envs: { A: 'b' } } });
  expect(program).toEqual({ name: 'mine', command: '/bin/bash', args: ['-l', '-c', 'echo $A | cat'], env: { A: 'b' } });
});

test('a GitHub repository is cloned first, into a folder of its own', () => {
  const [program] = parse({ 'github/acme/tools': { runCmd: 'node .', installCmd: 'npm ci' } });
  const directory = '/opt/mcp-gateway/checkouts/acme/tools';
  expect(program?.cwd).toBe(directory);
  expect(program?.source).toEqual({ url: 'https://github.com/acme/tools.git', directory, installCommand: 'npm ci' });
});

describe('is refused', () => {
  test.each([
    ['no server at all', {}],
    ['a server that the template does not have', { nothing: {} }],
    ['a server without its settings', { filesystem: {} }],
    ['a relative path', { filesystem: { paths: ['home'] } }],
    ['a path that is no text', { filesystem: { paths: [1] } }],
    ['a command that is no text', { mine: { runCmd: 1 } }],
    ['a name that begins with a dot', { '../mine': { runCmd: 'true' } }],
    ['a repository above the checkouts', { 'github/acme/..': { runCmd: 'true' } }],
    ['a repository with an option as its owner', { 'github/-c/x': { runCmd: 'true' } }],
    ['a repository with more parts', { 'github/a/b/c': { runCmd: 'true' } }],
    ['33 servers', Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`s${String(at)}`, { runCmd: 'true' }]))],
    ['a list', []],
    ['a text', 'filesystem'],
  ])('%s', (_what, config) => {
    expect(() => parse(config)).toThrow(Error);
  });

  test('text that is not JSON', () => {
    expect(() => parseConfig('{')).toThrow(Error);
  });
});
