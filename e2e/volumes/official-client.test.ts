import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { userOf } from '@soulbox/process';
import { findServerPart } from '@soulbox/testing';
import { AuthenticationError, RateLimitError, Volume, VolumeError, VolumeNotFoundError } from 'e2b';
import { VolumeFileType, VolumePathNotFoundError } from 'e2b';
import { beforeAll, expect, test } from 'vitest';
import { useOwnTeam } from '../harness/own-team.ts';
import { apiKey, apiUrl, server } from '../harness/server.ts';
import { until } from '../harness/until.ts';

let teamId: string;
beforeAll(async () => {
  const key = await useOwnTeam('volumes');
  const teams = await fetch(`${apiUrl}/teams`, { headers: { 'x-api-key': key } });
  teamId = ((await teams.json()) as { teamID: string }[])[0]?.teamID ?? '';
});

async function limitTeam(limit: number | null): Promise<void> {
  const token = readFileSync(join(server.dataDirectory, 'secrets/admin-token'), 'utf8').trim();
  const answer = await fetch(`${apiUrl}/teams/${teamId}/limits`, {
    ...{ method: 'PATCH', headers: { 'x-api-key': token, 'content-type': 'application/json' } },
    body: JSON.stringify({ volume_mb: limit }),
  });
  expect(answer.status).toBe(200);
}

const bytesOf = (length: number): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 1) bytes[at] = (at * 7) % 251;
  return bytes;
};
const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const folderOf = ({ volumeId }: Volume): string => join(server.dataDirectory, 'volumes', teamId, volumeId);

test('volumes are created, listed, connected to and destroyed', async () => {
  const volume = await Volume.create('first');
  expect(await Volume.list()).toEqual([{ volumeId: volume.volumeId, name: 'first' }]);
  expect(await Volume.getInfo(volume.volumeId)).toMatchObject({ volumeId: volume.volumeId, name: 'first' });
  await expect(Volume.create('first')).rejects.toThrow(VolumeError);
  await volume.writeFile('/a', 'x');
  const again = await Volume.connect(volume.volumeId);
  expect(await again.readFile('/a')).toBe('x');
  expect(existsSync(folderOf(volume))).toBe(true);
  expect(await Volume.destroy(volume.volumeId)).toBe(true);
  expect(await Volume.destroy(volume.volumeId)).toBe(false);
  expect(existsSync(folderOf(volume))).toBe(false);
  await expect(Volume.getInfo(volume.volumeId)).rejects.toThrow(VolumeNotFoundError);
  await expect(again.readFile('/a')).rejects.toThrow(VolumePathNotFoundError);
});

test('a clone and a snapshot are ordinary volumes for the client, and outlive their source', async () => {
  const source = await Volume.create('source');
  const bytes = bytesOf(5_000_000);
  await source.writeFile('/data', bytes.buffer);
  const copy = async (name: string, readOnly: boolean): Promise<Volume> => {
    const answer = await fetch(`${apiUrl}/volumes`, {
      ...{ method: 'POST', headers: { 'x-api-key': apiKey, 'content-type': 'application/json' } },
      body: JSON.stringify({ name, from: 'source', readOnly }),
    });
    expect(answer.status).toBe(201);
    return await Volume.connect(((await answer.json()) as { volumeID: string }).volumeID);
  };
  const [clone, snapshot] = [await copy('clone', false), await copy('snapshot', true)];
  await source.writeFile('/data', 'changed');
  await clone.writeFile('/own', 'x');
  await expect(snapshot.writeFile('/own', 'x')).rejects.toThrow(VolumeError);
  await Volume.destroy(source.volumeId);
  for (const volume of [clone, snapshot])
    expect(digestOf(await volume.readFile('/data', { format: 'bytes' }))).toBe(digestOf(bytes));
  for (const volume of [clone, snapshot]) await Volume.destroy(volume.volumeId);
  expect(existsSync(folderOf(source))).toBe(false);
});

test('files and folders are written, described, listed and removed in all forms of the client', async () => {
  const volume = await Volume.create('files');
  expect(await volume.makeDir('/data/in', { force: true, uid: 1000, mode: 0o750 })).toMatchObject({
    ...{ name: 'in', path: '/data/in', type: VolumeFileType.DIRECTORY, uid: 1000, mode: 0o750 },
  });
  await expect(volume.makeDir('/data/in')).rejects.toThrow(VolumeError);
  await expect(volume.makeDir('/missing/in')).rejects.toThrow(VolumePathNotFoundError);
  const bytes = bytesOf(100_000);
  await volume.writeFile('/data/text', 'grüße');
  await volume.writeFile('/data/bytes', bytes.buffer, { mode: 0o600 });
  await volume.writeFile('/data/blob', new Blob([bytes]));
  await volume.writeFile('/data/stream', new Blob([bytes]).stream());
  expect(await volume.readFile('/data/text')).toBe('grüße');
  expect(await volume.readFile('/data/blob', { format: 'bytes' })).toEqual(bytes);
  expect((await volume.readFile('/data/bytes', { format: 'blob' })).size).toBe(bytes.length);
  const stream = await volume.readFile('/data/stream', { format: 'stream' });
  expect(await new Response(stream).bytes()).toEqual(bytes);
  const listed = await volume.list('/', { depth: 2 });
  expect(listed.map(({ path }) => path).sort()).toEqual([
    ...['/data', '/data/blob', '/data/bytes', '/data/in', '/data/stream', '/data/text'],
  ]);
  const info = await volume.getInfo('/data/bytes');
  expect(info).toMatchObject({ size: bytes.length, mode: 0o600, type: VolumeFileType.FILE });
  expect(Math.abs(info.mtime.getTime() - Date.now())).toBeLessThan(60_000);
  expect(await volume.updateMetadata('/data/bytes', { uid: 5, gid: 6, mode: 0o644 })).toMatchObject({ uid: 5, gid: 6 });
  await volume.writeFile('/data/text', 'new', { force: true });
  expect([await volume.exists('/data/text'), await volume.exists('/nothing')]).toEqual([true, false]);
  await volume.remove('/data');
  expect(await volume.list('/')).toEqual([]);
  await expect(volume.remove('/data')).rejects.toThrow(VolumePathNotFoundError);
});

test('a large file is streamed in both directions, and a write beyond the limit of the team leaves nothing', async () => {
  const volume = await Volume.create('large');
  const piece = bytesOf(1024 * 1024);
  const pieces = 20;
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent++ < pieces) controller.enqueue(piece);
      else controller.close();
    },
  });
  expect((await volume.writeFile('/large', body)).size).toBe(pieces * piece.length);
  const hash = createHash('sha256');
  for await (const chunk of await volume.readFile('/large', { format: 'stream' })) hash.update(chunk);
  expect(hash.digest('hex')).toBe(digestOf(Buffer.concat(Array.from({ length: pieces }, () => piece))));
  await limitTeam(pieces + 1);
  await expect(volume.writeFile('/more', new Blob([bytesOf(2 * 1024 * 1024)]))).rejects.toThrow(RateLimitError);
  // Large ones: they are refused while the client still sends, and the answer must arrive all the same.
  const large = new Blob(Array.from({ length: 32 }, () => piece));
  for (let round = 0; round < 20; round += 1)
    await expect(volume.writeFile('/more', large.stream())).rejects.toThrow(RateLimitError);
  expect(await volume.exists('/more')).toBe(false);
  await limitTeam(null);
});

test('the volume service has no privileges, and what was answered survives its kill', async () => {
  const volume = await Volume.create('killed');
  await volume.writeFile('/kept', 'kept');
  const find = (): number | undefined => findServerPart(server.pid, 'volumes');
  const pid = find() ?? 0;
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'm').exec(status)?.[1] ?? '';
  const id = String(userOf(server.instance, 'volumes'));
  expect([
    field('Uid').split('\t')[1],
    field('Groups'),
    field('CapEff'),
    field('Seccomp'),
    field('NoNewPrivs'),
  ]).toEqual([...[id, '', '0000000000000000', '2', '1']]);
  expect(readlinkSync(`/proc/${pid}/root`)).toBe(`/run/soulbox-${server.instance}/volumes/data`);
  process.kill(pid, 'SIGKILL');
  await until('the end of the process', () => find() !== pid);
  expect(await volume.readFile('/kept')).toBe('kept');
  expect(find()).not.toBe(pid);
});

test('a token opens its volume only', async () => {
  const [one, two] = [await Volume.create('one'), await Volume.create('two')];
  const stolen = new Volume(two.volumeId, 'two', one.token);
  await expect(stolen.list('/')).rejects.toThrow(VolumePathNotFoundError);
  await expect(new Volume(one.volumeId, 'one', 'sbv_x').list('/')).rejects.toThrow(AuthenticationError);
  const raw = await fetch(`${apiUrl}/volumecontent/${one.volumeId}/file?path=/none`, {
    headers: { 'x-api-key': apiKey },
  });
  expect([raw.status, await raw.json()]).toMatchObject([404, { code: 'file_not_found' }]);
});
