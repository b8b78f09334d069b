import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { folder } from '../node.ts';
import { startServer } from '../testing/start-server.ts';
import type { Answer, SeenRequest, TestServer } from '../testing/start-server.ts';
import { templates } from './templates.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sdk-templates-'));
  await writeFile(join(root, 'a.txt'), 'content');
});
afterEach(async () => await rm(root, { recursive: true }));

interface Asked extends TestServer {
  readonly url: string;
}

/** `upload`: answers that of an archive. Undefined: the server has it. */
async function startBuildServer(upload: (() => Answer) | undefined): Promise<Asked> {
  const answerTo = ({ line, headers }: SeenRequest): Answer => {
    if (line === 'POST /v3/templates') return { status: 202, body: { templateID: 't', buildID: 'b' } };
    if (line.startsWith('GET /templates/t/files/'))
      return { status: 201, body: { present: upload === undefined, url: `http://${headers.host ?? ''}/signed?a=b` } };
    if (line.startsWith('PUT ')) return upload?.() ?? { status: 500 };
    return line.includes('/status') ? { status: 200, body: { status: 'ready', logEntries: [] } } : { status: 202 };
  };
  return await startServer(answerTo);
}

const optionsOf = ({ url }: TestServer) => ({ apiUrl: url, apiKey: 'secret-key', retries: 0 });
const copy = { type: 'COPY', args: ['a.txt', '/a.txt'] } as const;
const lineOf = ({ line }: SeenRequest): string => line.replace(/[0-9a-f]{64}/, 'HASH').replace(/\?logs.*/, '');

test('the files of a COPY are uploaded before the build starts, without the key', async () => {
  await using server = await startBuildServer(() => ({ status: 204 }));
  await templates.build({ name: 'n', files: folder(root), steps: [copy] }, optionsOf(server));
  expect(server.seen.map(lineOf)).toEqual([
    ...['POST /v3/templates', 'GET /templates/t/files/HASH', 'PUT /signed?a=b'],
    ...['POST /v2/templates/t/builds/b', 'GET /templates/t/builds/b/status'],
  ]);
  const [, link, put, start] = server.seen;
  expect(put?.headers['content-length']).toBe(String(put?.body.length));
  expect(JSON.stringify(put?.headers)).not.toContain('secret-key');
  expect(gunzipSync(put?.body ?? '').toString()).toMatch(/^a\.txt\0[^]*content\0/);
  const { steps } = JSON.parse(start?.body.toString() ?? '') as { steps: { filesHash: string }[] };
  expect(steps).toEqual([{ ...copy, filesHash: link?.line.split('/').at(-1), force: false }]);
});

test('files that the server has are not sent again', async () => {
  await using server = await startBuildServer(undefined);
  await templates.build({ name: 'n', files: folder(root), steps: [copy] }, optionsOf(server));
  expect(server.seen.map(lineOf)).not.toContain('PUT /signed?a=b');
});

test('a COPY without its files starts no build', async () => {
  await using server = await startBuildServer(() => ({ status: 413, body: { message: 'The archive is larger.' } }));
  const build = async (spec: Partial<Parameters<typeof templates.build>[0]>): Promise<unknown> =>
    await templates.build({ name: 'n', steps: [copy], ...spec }, optionsOf(server));
  const missing = { steps: [{ ...copy, args: ['b.txt', '/b'] }], files: folder(root) };
  const fault = { name: 'SoulBoxError', code: 'invalid_argument', reason: 'bad_request' };
  await expect(build({})).rejects.toMatchObject({
    ...fault,
    message: expect.stringMatching(/needs `files`/) as string,
  });
  await expect(build(missing)).rejects.toMatchObject({ ...fault, message: '"b.txt" does not exist.' });
  await expect(build({ files: folder(root) })).rejects.toMatchObject({
    status: 413,
    message: 'The archive is larger.',
  });
  expect(server.seen.map(lineOf)).not.toContain('POST /v2/templates/t/builds/b');
});
