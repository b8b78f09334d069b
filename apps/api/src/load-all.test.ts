import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** Sends requests of each kind and prints the files that were loaded after `loadAll`. */
const script = `
import { registerHooks } from 'node:module';
const { startTestApi } = await import('./testing/test-api.ts');
const { loadAll } = await import('./load-all.ts');
await loadAll();
const late = [];
registerHooks({
  load(url, context, next) {
    if (!url.startsWith('node:')) late.push(url);
    return next(url, context);
  },
});
const api = await startTestApi();
for (const [method, path, body] of [
  ['GET', '/health'],
  ['GET', '/v2/sandboxes'],
  ['GET', '/openapi.json'],
  ['GET', '/nowhere'],
  ['POST', '/v2/sandboxes', { templateID: 'base' }],
  ['POST', '/v2/sandboxes', 'not JSON'],
  ['GET', '/metrics'],
])
  await api.ask(method, path, body === undefined ? {} : { body });
process.stdout.write(JSON.stringify(late));
process.exit();
`;

test('a server loads no file of its program later, because it may then not read it any more', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: import.meta.dirname,
  });
  expect(JSON.parse(stdout)).toEqual([]);
}, 60_000);
