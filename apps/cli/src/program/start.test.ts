import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/** Prints every module that Node loads, to stderr. */
const printModules = `data:text/javascript,${encodeURIComponent(`
  import { registerHooks } from 'node:module';
  registerHooks({ load: (url, context, next) => (process._rawDebug(url), next(url, context)) });
`)}`;

const main = join(import.meta.dirname, '../main.ts');

async function modulesOf(args: readonly string[]): Promise<string[]> {
  const environment = { PATH: process.env['PATH'], E2B_API_URL: 'http://127.0.0.1:1', E2B_API_KEY: 'key' };
  return await new Promise((resolve) => {
    execFile(process.execPath, ['--import', printModules, main, ...args], { env: environment }, (_, __, stderr) => {
      resolve(stderr.split('\n').filter((line) => /^(?:file|node):/.test(line)));
    });
  });
}

// The time of a start is that of the modules it loads. All of those named here take longer than the rest together.
test('a command that only asks the API does not wait for libraries that it does not use', async () => {
  const modules = await modulesOf(['sandbox', 'list']);
  expect(modules.some((url) => url.endsWith('/commands/sandbox/list.ts'))).toBe(true);
  const others = /node_modules\/(?:@connectrpc|@bufbuild|zod|pino)\/|packages\/storage\//;
  expect(modules.filter((url) => others.test(url))).toEqual([]);
  expect(modules.length).toBeLessThan(120);
});
