import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { findPosixPrograms, readPosixReport } from '@soulbox/volumes/posix-suite';
import { Sandbox, Volume } from 'e2b';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { askApi } from '../harness/http.ts';
import { needs } from '../harness/needs.ts';
import { useOwnTeam } from '../harness/own-team.ts';
import '../harness/server.ts';

// The calls of programs, and their errors, on a volume in a sandbox: docs/volumes.md has the table.
needs('volumes');

beforeAll(async () => {
  await useOwnTeam('posix');
});

test('each call of a program on a volume does and returns what POSIX and Linux promise', async () => {
  const volume = await Volume.create('posix');
  onTestFinished(async () => {
    await Volume.destroy(volume.volumeId);
  });
  const { json } = await askApi('POST', '/v2/sandboxes', {
    templateID: 'base',
    volumeMounts: [
      { name: 'posix', path: '/data' },
      { name: 'posix', path: '/read-only', readOnly: true },
    ],
  });
  const sandbox = await Sandbox.connect((json as { sandboxID: string }).sandboxID);
  onTestFinished(async () => {
    await sandbox.kill();
  });
  for (const path of await findPosixPrograms())
    await sandbox.files.write(`/tmp/suite/${basename(path)}`, await readFile(path, 'utf8'));
  const { stdout, stderr } = await sandbox.commands.run(
    'python3 /tmp/suite/posix.py --no-devices --read-only /read-only/work /data/work || true',
    { user: 'root', timeoutMs: 200_000 },
  );
  const { differences, checks } = readPosixReport(stdout, stderr);
  expect(differences).toEqual([]);
  expect(checks).toBeGreaterThan(400);
});
