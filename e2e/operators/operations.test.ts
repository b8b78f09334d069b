import { access, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { listHostTraces, makeTestDirectory, nodeProgram, testTemplatesDirectory } from '@soulbox/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

const repository = join(import.meta.dirname, '../..');
const instance = 13;
/** The data folder that docs/operations.md names. */
const namedFolder = '/var/lib/soulbox';

let data: string;
let bin: string;
beforeAll(async () => {
  data = await makeTestDirectory('operations-');
  bin = join(data, 'bin');
  await mkdir(bin);
  const main = join(repository, 'apps/cli/src/main.ts');
  // The program that set-up installs, and a sudo, because root may have none. It too drops the variables of the caller.
  await writeFile(join(bin, 'soulbox'), `#!/bin/sh\nexec '${nodeProgram}' '${main}' "$@"\n`, { mode: 0o755 });
  await writeFile(join(bin, 'sudo'), '#!/bin/sh\nexec env $(env | sed -n "s/^\\(E2B_[A-Z_]*\\)=.*/-u \\1/p") "$@"\n', {
    mode: 0o755,
  });
});
afterAll(async () => {
  await run(join(bin, 'soulbox'), ['down', '--data-dir', data]).catch(() => undefined);
  await removeTree(data);
});

/** The shell blocks of the page, in order, except those marked as not run. */
async function readBlocks(): Promise<string[]> {
  const page = await readFile(join(repository, 'docs/operations.md'), 'utf8');
  return [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? '');
}

test('each command of docs/operations.md does what it says, in its order, on a fresh server', async () => {
  const blocks = await readBlocks();
  expect(blocks.length).toBeGreaterThan(7);
  const seen: string[] = [];
  let variables = '';
  for (const block of blocks) {
    // A separate shell for each, as for a reader who continues later. The effect of `eval` is kept.
    const script = `set -eo pipefail\n${variables}\n${block.replaceAll(`${namedFolder}/`, `${data}/`)}`;
    const output = await run('bash', ['-c', script], { env: environmentOf(), timeoutMs: 120_000 });
    if (block.includes('eval '))
      variables += `${block
        .split('\n')
        .filter((line) => line.startsWith('eval '))
        .join('\n')}\n`;
    seen.push(output);
  }
  const all = seen.join('\n');
  expect(all).toContain('is ready');
  expect(all).toMatch(/^e2b_[0-9a-f]{40}$/m);
  expect(all).toContain('Deleted the team blue');
  expect(all).toMatch(/^soulbox_pool_ready \d+$/m);
  expect(all).toMatch(/^\{"level":30,"time":.*"by":"[0-9a-f-]{36}".*"msg":"request"\}$/m);
  expect(await readFile(join(data, 'logs/server.log'), 'utf8')).toContain('log reopened');
  expect(all).toMatch(/Server \d+ stopped\.\s*$/);
  expect(await listHostTraces(instance, data)).toEqual([]);
  await expect(access(`/run/soulbox-${instance}`)).rejects.toMatchObject({ code: 'ENOENT' });
}, 180_000);

test('no document has a command that would ask the registry for a package of our name', async () => {
  const files = (await run('git', ['ls-files', '*.md', '*.ts', '*.mjs'], { cwd: repository }))
    .split('\n')
    .filter(Boolean);
  const found: string[] = [];
  for (const file of files) {
    if (
      /^(CHANGELOG\.md|docs\/operations\.md|docs\/decisions\/029)/.test(file) ||
      file === 'e2e/operators/operations.test.ts'
    )
      continue;
    if ((await readFile(join(repository, file), 'utf8')).includes('npx soulbox')) found.push(file);
  }
  expect(found).toEqual([]);
});

function environmentOf(): NodeJS.ProcessEnv {
  return {
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
    HOME: data,
    SOULBOX_DATA_DIR: data,
    SOULBOX_TEMPLATES_DIR: testTemplatesDirectory,
    SOULBOX_INSTANCE: String(instance),
    SOULBOX_PORT: '0',
    SOULBOX_TLS_PORT: '0',
    SOULBOX_POOL_SIZE: '1',
  };
}
