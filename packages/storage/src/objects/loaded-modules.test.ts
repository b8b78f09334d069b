import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree } from '@soulbox/base';
import { expect, onTestFinished, test } from 'vitest';

/** npm packages that a process has loaded after it used the store of the URL. */
async function packagesLoadedBy(url: string, folder: string): Promise<readonly string[]> {
  const program = `
    import { registerHooks } from 'node:module';
    const loaded = new Set();
    registerHooks({
      load(url, context, next) {
        const name = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)\\//.exec(url)?.[1];
        if (name !== undefined) loaded.add(name);
        return next(url, context);
      },
    });
    const { openObjectStore } = await import(${JSON.stringify(join(import.meta.dirname, 'index.ts'))});
    const store = await openObjectStore(process.argv[1], process.argv[2] ? { credentialsFile: process.argv[2] } : {});
    await store.put('a', Buffer.from('x')).catch(() => undefined);
    await store[Symbol.asyncDispose]();
    console.log(JSON.stringify([...loaded]));`;
  const args = ['--conditions=soulbox-source', '--input-type=module', '--eval', program, url];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder });
  return JSON.parse(stdout) as string[];
}

test('a process that uses only local disk loads the SDK of no other store', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-loaded-'));
  onTestFinished(() => removeTree(folder));
  const loaded = await packagesLoadedBy(`file://${folder}/store`, folder);
  expect(loaded.filter((name) => /^@aws|^@smithy|^@azure|^@google-cloud|^google-/.test(name))).toEqual([]);
});
