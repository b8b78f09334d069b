import { expect, test } from 'vitest';
import { startServer } from '../testing/start-server.ts';
import { volumes } from './volumes.ts';

const volume = {
  volumeID: 'v1',
  name: 'data',
  sizeMb: null,
  from: null,
  readOnly: false,
  createdAt: '2026-01-01T00:00:00.000Z',
};

test('volumes and their files have one call for each route', async () => {
  const entry = { path: '/a', type: 'file', size: 5 };
  const answers: Record<string, object | string> = {
    'POST /volumes': { ...volume, token: 'sbv_x' },
    'GET /volumes/data': { ...volume, token: 'sbv_x' },
    'GET /volumes/data/usage': { bytes: 5, entries: 2, sizeMb: null },
    'GET /volumes': [volume],
    'GET /volumecontent/data/dir?path=%2F&depth=2': [entry],
    'GET /volumecontent/data/path?path=%2Fa': entry,
    'POST /volumecontent/data/dir?path=%2Fd&mode=448&force=true': entry,
    'PATCH /volumecontent/data/path?path=%2Fa': entry,
    'PUT /volumecontent/data/file?path=%2Fa&uid=5&force=false': entry,
    'GET /volumecontent/data/file?path=%2Fa': 'hello',
    'POST /volumecontent/data/rename?path=%2Fa&to=%2Fb&force=false': entry,
    'DELETE /volumecontent/data/path?path=%2Fa': '',
    'DELETE /volumes/data': '',
  };
  const lines: string[] = [];
  await using server = await startServer(({ line }) => {
    lines.push(line);
    return { status: 200, body: answers[line] ?? { message: line } };
  });
  const options = { apiUrl: server.url, apiKey: 'key' };
  // The token is for others.
  expect(await volumes.create('data', { ...options, sizeMb: 5 })).toEqual(volume);
  expect(await volumes.get('data', options)).toEqual(volume);
  expect(await volumes.usage('data', options)).toEqual({ bytes: 5, entries: 2, sizeMb: null });
  expect(await volumes.list(options)).toEqual([volume]);
  expect(await volumes.listFiles('data', '/', { ...options, depth: 2 })).toEqual([entry]);
  expect(await volumes.stat('data', '/a', options)).toEqual(entry);
  expect(await volumes.makeDir('data', '/d', { ...options, mode: 0o700, force: true })).toEqual(entry);
  expect(await volumes.setAttributes('data', '/a', { mode: 0o600 }, options)).toEqual(entry);
  expect(await volumes.write('data', '/a', 'hello', { ...options, uid: 5, force: false })).toEqual(entry);
  expect(await volumes.readText('data', '/a', options)).toBe('hello');
  expect(await volumes.rename('data', '/a', '/b', { ...options, force: false })).toEqual(entry);
  expect(await volumes.remove('data', '/a', options)).toBe(true);
  expect(await volumes.delete('data', options)).toBe(true);
  expect(lines).toEqual(Object.keys(answers));
});

test('what does not exist is false, and other errors are thrown', async () => {
  let status = 404;
  await using server = await startServer(() => ({ status, body: { code: 'file_not_found', message: 'It is gone.' } }));
  const options = { apiUrl: server.url, apiKey: 'key', retries: 0 };
  expect([await volumes.remove('data', '/a', options), await volumes.delete('data', options)]).toEqual([false, false]);
  await expect(volumes.readText('data', '/a', options)).rejects.toThrow('It is gone.');
  status = 507;
  await expect(volumes.write('data', '/a', 'x', options)).rejects.toMatchObject({ status: 507 });
  await expect(volumes.stat('..', '/a', options)).rejects.toThrow('not a valid id or name');
});
