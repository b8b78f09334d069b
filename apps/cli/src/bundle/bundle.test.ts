import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bundleFunction } from './bundle-function.ts';
import { readProject } from './read-project.ts';
import { withoutComments } from './without-comments.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-bundle-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
}

describe('the entry of a function', () => {
  test('is read from wrangler.toml, with its variables and namespaces', async () => {
    await write({
      'wrangler.toml': `name = "shop"\nmain = "src/app.ts"\ncompatibility_date = "2026-02-03"\ncompatibility_flags = ["nodejs_compat"]
[vars]\nA = "x"\nB = { c = 1 }\n[[kv_namespaces]]\nbinding = "STORE"\nid = "abc"\n`,
      'src/app.ts': '',
    });
    expect(await readProject(folder)).toEqual({
      entry: join(folder, 'src/app.ts'),
      name: 'shop',
      environment: { A: 'x', B: '{"c":1}' },
      kv: { STORE: 'abc' },
      compatibilityDate: '2026-02-03',
      compatibilityFlags: ['nodejs_compat'],
    });
  });

  test('is read from wrangler.jsonc, despite its comments', async () => {
    await write({ 'wrangler.jsonc': '{ // "main": "no"\n "name": "a//b", /* x */ "main": "w.js", }', 'w.js': '' });
    expect(await readProject(folder)).toMatchObject({ entry: join(folder, 'w.js'), name: 'a//b' });
  });

  test('is read from package.json, or has a usual name', async () => {
    await write({ 'package.json': '{ "name": "pkg", "main": "lib/x.js" }', 'lib/x.js': '', 'index.ts': '' });
    expect(await readProject(folder)).toMatchObject({ entry: join(folder, 'lib/x.js'), name: 'pkg' });
    await rm(join(folder, 'lib'), { recursive: true });
    expect(await readProject(folder)).toMatchObject({ entry: join(folder, 'index.ts') });
    expect(await readProject(join(folder, 'index.ts'))).toMatchObject({
      entry: join(folder, 'index.ts'),
      name: undefined,
    });
  });

  test.each([
    ['an empty folder', {}, /has no entry/],
    ['a broken configuration', { 'wrangler.toml': 'main = ' }, /wrangler\.toml cannot be read/],
    ['a configuration of another form', { 'wrangler.json': '{"main": 5}' }, /main/],
  ])('%s is reported', async (_, files, message) => {
    await write(files);
    await expect(readProject(folder)).rejects.toThrow(message);
  });
});

test('comments are removed, strings stay', () => {
  const text = '{"a":"// \\" /* no */,]", /* , */ "b":[1,2, // x\n], }';
  expect(JSON.parse(withoutComments(text))).toEqual({ a: '// " /* no */,]', b: [1, 2] });
});

describe('a bundle', () => {
  test('is one module with its imports, including TypeScript and text files', async () => {
    await write({
      'index.ts':
        'import { x } from "./x.ts"; import t from "./t.txt"; export default { fetch: (): Response => new Response(x + t) };',
      'x.ts': 'export const x: string = "imported";',
      't.txt': 'some text',
    });
    const text = await bundleFunction(join(folder, 'index.ts'), 'workers');
    expect(text).toContain('imported');
    expect(text).toContain('some text');
    expect(text).not.toMatch(/^import /m);
  });

  test('contains the variant of a package for the platform', async () => {
    await write({
      'index.js': 'import kind from "forms"; export default { fetch: () => new Response(kind) };',
      'node_modules/forms/package.json':
        '{"name":"forms","exports":{"workerd":"./w.js","edge-light":"./e.js","default":"./d.js"}}',
      'node_modules/forms/w.js': 'export default "for workerd";',
      'node_modules/forms/e.js': 'export default "for edge";',
      'node_modules/forms/d.js': 'export default "for all";',
    });
    expect(await bundleFunction(join(folder, 'index.js'), 'workers')).toContain('for workerd');
    expect(await bundleFunction(join(folder, 'index.js'), 'edge')).toContain('for edge');
  });

  test('that fails names the place of the error', async () => {
    await write({ 'index.js': 'import "./missing.js";' });
    await expect(bundleFunction(join(folder, 'index.js'), 'workers')).rejects.toThrow(/missing\.js/);
  });
});
