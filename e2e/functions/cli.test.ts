import { mkdtemp, mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { describe, expect, onTestFinished, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { server } from '../harness/server.ts';
import { hasTemplate } from '../harness/template.ts';
import { until } from '../harness/until.ts';

const isMade = await hasTemplate('edge');
const launcher = join(import.meta.dirname, '../../apps/cli/bin/soulbox.mjs');

const soulbox = async (...args: string[]): Promise<Output> =>
  await runNode([launcher, 'function', ...args], { ...server.plain, TOKEN: 'hidden' });

describe.skipIf(!isMade)('soulbox function', () => {
  test('deploys a folder, lists, invokes, shows the log, rolls back and deletes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'soulbox-function-'));
    onTestFinished(() => removeTree(folder));
    await mkdir(join(folder, 'src'));
    await writeFile(join(folder, 'wrangler.toml'), 'name = "e2e-cli"\nmain = "src/app.ts"\n[vars]\nWHO = "toml"\n');
    const write = async (word: string): Promise<void> => {
      const source = `import { word } from './word.ts';
        interface Env { readonly WHO: string; readonly TOKEN: string }
        export default { async fetch(request: Request, env: Env): Promise<Response> {
          console.log('asked');
          return new Response([word, env.WHO, env.TOKEN.length, request.method, await request.text()].join(' '), { status: word === 'two' ? 418 : 200 });
        } };`;
      await writeFile(join(folder, 'src/app.ts'), source);
      await writeFile(join(folder, 'src/word.ts'), `export const word: string = ${JSON.stringify(word)};`);
    };
    onTestFinished(async () => {
      await soulbox('delete', 'e2e-cli');
    });

    await write('one');
    expect(await soulbox('deploy', folder, '--secret', 'TOKEN')).toMatchObject({
      code: 0,
      stdout: `Deployed e2e-cli, version 1: http://127.0.0.1:${String(server.port)}/functions-http/e2e-cli/\n`,
    });
    expect(await soulbox('invoke', 'e2e-cli', '/x', '--data', 'body')).toMatchObject({
      code: 0,
      stdout: 'one toml 6 POST body',
    });
    await write('two');
    expect(await soulbox('deploy', folder, '--env', 'WHO=flag')).toMatchObject({ code: 0 });
    expect(await soulbox('invoke', 'e2e-cli')).toMatchObject({ code: 1, stdout: 'two flag 6 GET ' });
    expect((await soulbox('list')).stdout).toMatch(/^e2e-cli +workers +2 +running/m);
    await until('the log', async () => (await soulbox('logs', 'e2e-cli')).stdout.includes('console  asked'));
    expect((await soulbox('rollback', 'e2e-cli')).stdout).toBe('e2e-cli now serves version 1.\n');
    expect((await soulbox('invoke', 'e2e-cli')).stdout).toBe('one flag 6 GET ');

    await writeFile(join(folder, 'src/app.ts'), 'export default {');
    expect(await soulbox('deploy', folder)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('app.ts') as string,
    });
    expect(await soulbox('deploy', folder, '--secret', 'MISSING')).toMatchObject({ code: 2 });
    expect(await soulbox('delete', 'e2e-cli')).toMatchObject({ code: 0 });
    expect(await soulbox('invoke', 'e2e-cli')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('not found') as string,
    });
  });
});
