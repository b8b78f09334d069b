import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { removeTree, run } from '@soulbox/base';
import { nodeProgram, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { ownInstance } from '../harness/own-instance.ts';
import { hasTemplate } from '../harness/template.ts';

const repository = join(import.meta.dirname, '../..');
const instance = ownInstance();

interface Block {
  readonly heading: string;
  readonly language: string;
  readonly text: string;
}

/** The pages whose programs are run, in the order in which a reader meets them. */
const pages = ['README.md', 'docs/guide.md'];

/** The fenced blocks of a page. Indented blocks are only for reading. */
function blocksOf(page: string): Block[] {
  const found: Block[] = [];
  let heading = '';
  for (const [, title, language, text] of page.matchAll(/^## (.*)$|^```(\w*)\n([\s\S]*?)^```$/gm)) {
    if (title === undefined) found.push({ heading, language: language ?? '', text: text ?? '' });
    else heading = title;
  }
  return found;
}

interface Program {
  /** Text that its output contains. */
  readonly prints: string;
  /** Of the server, without which it would wait for minutes. */
  readonly template?: string;
  /** It mounts a volume. */
  readonly needsFuse?: boolean;
  /** The file name that the page gives, when the block is only saved. */
  readonly savedAs?: string;
}

/** Every fenced block, by its heading and language. */
const programs: Readonly<Record<string, Program>> = {
  'First program, js': { prints: '[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]' },
  'First program, python': { prints: '[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]' },
  'First volume, js': { prints: 'Grace\nAda', needsFuse: true },
  'Pause, resume and fork, js': { prints: '' },
  'Share one file or one port, js': { prints: 'for your eyes only\n409' },
  'Say what a sandbox may reach, js': { prints: 'no such name' },
  'Run code, js': { prints: '[ [ 1, 10 ], [ 2, 40 ], [ 3, 90 ] ]\n42', template: 'code-interpreter-v1' },
  'Run code, sh': { prints: 'hello world', template: 'runtimes' },
  'Build a template, js': { prints: '<h1>Hello</h1>' },
  'A desktop, js': { prints: '/vnc.html?', template: 'desktop' },
  'Edge functions, ts': { prints: '', savedAs: 'hello.ts' },
  'Edge functions, sh': { prints: 'Hello, visitor 1', template: 'edge' },
};

const texts = await Promise.all(pages.map(async (page) => await readFile(join(repository, page), 'utf8')));
const blocks = texts.flatMap(blocksOf);
const nameOf = ({ heading, language }: Block): string => `${heading}, ${language}`;
const made = new Map<string, boolean>();
for (const { template } of Object.values(programs))
  if (template !== undefined) made.set(template, await hasTemplate(template));

let server: ServerProcess;
let folder: string;
beforeAll(async () => {
  server = await startServer({ instance });
  folder = await mkdtemp(join(tmpdir(), 'soulbox-readme-'));
  // As after `npm install` of the imported packages. The commands are those of this repository.
  await symlink(join(repository, 'node_modules'), join(folder, 'node_modules'));
});
afterAll(async () => {
  await server.stop();
  await removeTree(server.dataDirectory);
  await removeTree(folder);
});

test('a test knows every block', () => {
  expect(blocks.map(nameOf)).toEqual(Object.keys(programs));
});

// In order, as a reader runs them: each block uses the results of the earlier ones.
test.for(blocks)('$heading, $language: does what it says', { timeout: 180_000 }, async (block, { skip }) => {
  const { template, prints, savedAs, needsFuse } = programs[nameOf(block)] ?? { prints: '' };
  const missing =
    needsFuse === true && !existsSync('/dev/fuse')
      ? '/dev/fuse'
      : template !== undefined && made.get(template) !== true
        ? `template ${template}`
        : block.language === 'python' && !hasPythonClient()
          ? 'module e2b of Python'
          : undefined;
  if (missing !== undefined) {
    console.log(`skipped: there is no ${missing} here`);
    skip(`there is no ${missing} here`);
  }
  if (savedAs === undefined) expect(await perform(block)).toContain(prints);
  else await writeFile(join(folder, savedAs), block.text);
});

async function perform({ language, text }: Block): Promise<string> {
  const [command, file] = (
    { js: [nodeProgram, 'first.mjs'], python: ['python3', 'first.py'], sh: ['bash', 'first.sh'] } as const
  )[language] ?? ['false', 'first.txt'];
  await writeFile(join(folder, file), language === 'sh' ? `set -e\n${text}` : text);
  return await run(command, [file], { cwd: folder, timeoutMs: 170_000, env: variables() });
}

/** The variables that `eval "$(soulbox env)"` sets, in a shell that finds the programs of the repository. */
function variables(): NodeJS.ProcessEnv {
  const path = `${join(repository, 'node_modules/node/bin')}:${join(repository, 'node_modules/.bin')}`;
  const { PATH = '' } = process.env;
  return { PATH: `${path}:${PATH}`, HOME: folder, ...server.tlsEnvironment, ...server.clientEnvironment };
}

/** Not a Debian package, and not every machine reaches a package index. */
function hasPythonClient(): boolean {
  try {
    execFileSync('python3', ['-c', 'import e2b'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
