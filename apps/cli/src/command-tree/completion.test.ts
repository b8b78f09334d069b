import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { program } from '../program/program.ts';
import { renderBash } from './bash.ts';
import type { ArgsDef } from 'citty';
import { checkArguments, endOptionsAtCommand } from '../command-line/parse-strictly.ts';
import { readCommandTree } from './command-tree.ts';
import type { CommandArgument, CommandNode } from './command-tree.ts';
import { renderFish } from './fish.ts';
import { flatten } from './flatten.ts';
import { renderManPage } from './man.ts';
import { renderZsh } from './zsh.ts';

// The real shells read the scripts. Bash is in every Debian; the others are tested where they are installed.
const run = promisify(execFile);
let folder: string;
let tree: CommandNode;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-completion-'));
  tree = await readCommandTree('soulbox', program);
  await writeFile(join(folder, 'soulbox.bash'), renderBash(tree));
  await writeFile(join(folder, 'soulbox.zsh'), renderZsh(tree));
  await writeFile(join(folder, 'soulbox.fish'), renderFish(tree));
  // Stands for the command, whose real list needs a server.
  await writeFile(join(folder, 'soulbox'), `#!/bin/sh\necho '[{"sandboxID":"i1abc"},{"sandboxID":"i2def"}]'\n`, {
    mode: 0o755,
  });
});
afterAll(async () => await rm(folder, { recursive: true }));

/** What bash offers for the last of the words. */
async function offeredByBash(...words: string[]): Promise<string[]> {
  const script = `source soulbox.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _soulbox; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const env = { PATH: `${folder}:${process.env['PATH'] ?? ''}` };
  const { stdout } = await run('bash', ['--norc', '-c', script, 'bash', ...words], { cwd: folder, env });
  return stdout.split('\n').filter((line) => line !== '');
}

test.each([
  [['soulbox', 'sand'], ['sandbox']],
  [['soulbox', 'sandbox', 'pa'], ['pause']],
  [
    ['soulbox', 'sandbox', 'create', '--on-timeout', ''],
    ['kill', 'pause'],
  ],
  [['soulbox', 'sandbox', 'create', '--on-timeout', 'pause', '--idem'], ['--idempotency-key']],
  [['soulbox', 'sandbox', 'kill', 'i2'], ['i2def']],
  [['soulbox', 'sandbox', 'create', '--timeout', ''], []],
  [['soulbox', 'backup', 'create', '--data-dir', 'soulbox.ba'], ['soulbox.bash']],
  [['soulbox', 'nothing', 'sandbox'], ['sandbox']],
])('bash completes %j', async (words, expected) => {
  expect(await offeredByBash(...words)).toEqual(expected);
});

test('bash offers every command of the top level', async () => {
  expect(await offeredByBash('soulbox', '')).toEqual(tree.children.map(({ name }) => name));
});

async function isInstalled(shell: string): Promise<boolean> {
  return await run(shell, ['--version']).then(
    () => true,
    () => false,
  );
}

test('zsh reads its script', async (context) => {
  if (!(await isInstalled('zsh'))) context.skip('zsh is not installed');
  const script = 'autoload -U compinit; compinit -D; source ./soulbox.zsh; print -r -- $_comps[soulbox]';
  const { stdout, stderr } = await run('zsh', ['-f', '-c', script], { cwd: folder });
  expect([stdout, stderr]).toEqual(['_soulbox\n', '']);
});

test('fish completes commands, words and ids', async (context) => {
  if (!(await isInstalled('fish'))) context.skip('fish is not installed');
  const offered = async (line: string): Promise<string[]> => {
    const script = `set PATH ${folder} $PATH; source soulbox.fish; complete -C '${line}'`;
    const { stdout } = await run('fish', ['--no-config', '-c', script], { cwd: folder });
    return stdout
      .split('\n')
      .filter((text) => text !== '')
      .map((text) => text.split('\t', 1)[0] ?? '');
  };
  expect(await offered('soulbox sandbox pa')).toEqual(['pause']);
  expect(await offered('soulbox sandbox create --on-timeout ')).toEqual(['kill', 'pause']);
  expect(await offered('soulbox sandbox kill i2')).toEqual(['i2def']);
});

test('the manual page has every command, and roff reads it without a warning', async (context) => {
  const page = renderManPage(tree, { version: '0.1.0', date: '2026-11-28', exitCodes: [[0, "success, '-' and \\"]] });
  expect(page).toContain('.SS "\\fBsoulbox sandbox create\\fR \\fI[TEMPLATE]\\fR"');
  await writeFile(join(folder, 'soulbox.1'), page);
  if (!(await isInstalled('groff'))) context.skip('groff is not installed');
  const { stdout, stderr } = await run('groff', ['-man', '-Tutf8', '-ww', '-rLL=200n', join(folder, 'soulbox.1')]);
  expect(stderr).toBe('');
  expect(stdout).toContain('--idempotency-key');
});

const leaves = () => flatten(tree).filter(({ node }) => node.children.length === 0);

/** The words behind the command's name in one of its examples, up to the end of that part of the pipe. */
function wordsIn(example: string, path: string): string[] | undefined {
  const at = example.indexOf(path);
  if (at < 0) return undefined;
  const words = example.slice(at + path.length).match(/'[^']*'|[^\s']+/g) ?? [];
  const end = words.findIndex((word) => /^(?:[|>]|>>|&&)$/.test(word) || word.endsWith(')"'));
  return words.slice(0, end < 0 ? undefined : end).map((word) => word.replaceAll("'", ''));
}

function definitionOf({ name, kind, aliases, isRequired }: CommandArgument): [string, ArgsDef[string]] {
  if (kind === 'positional') return [name, { type: 'positional', required: isRequired }];
  const alias = aliases[0] === undefined ? {} : { alias: aliases[0] };
  return [name, kind === 'switch' ? { type: 'boolean', ...alias } : { type: 'string', ...alias }];
}

test('each command has examples, which its parser accepts', () => {
  for (const { path, node } of leaves()) {
    const takesArguments = node.args.some(({ kind }) => kind === 'positional');
    expect([path, node.examples.length]).toEqual([
      path,
      expect.toSatisfy((n: number) => n >= (takesArguments ? 2 : 1)),
    ]);
    const definitions = Object.fromEntries(node.args.map(definitionOf));
    for (const example of node.examples) {
      const words = wordsIn(example, path);
      expect([example, words === undefined]).toEqual([example, false]);
      expect([example, () => checkArguments(endOptionsAtCommand(words ?? [], definitions), definitions)]).toEqual([
        example,
        expect.toSatisfy((check: () => unknown) => check() !== undefined),
      ]);
    }
  }
});
