import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openLogFiles } from './log-files.ts';
import { openLog } from './log.ts';
import type { Log } from './log.ts';
import { createVerifier, parseVerifierKey } from './note.ts';
import { verifyLog } from './verify-log.ts';
import { askWitness } from './witness.ts';
import type { Witness } from './witness.ts';
import { isSigsumInstalled, rawKey, startSigsumWitness } from './testing/sigsum-witness.ts';
import type { SigsumWitness } from './testing/sigsum-witness.ts';
import { leavesOf, makeLog } from './testing/test-log.ts';

// In CI, a missing program is a failure.
describe.skipIf(!isSigsumInstalled && process.env['CI'] !== 'true')(
  'an unmodified witness (Debian package sigsum-go, which is not installed if this is skipped)',
  () => {
    let folder: string;
    let running: SigsumWitness;
    let witness: Witness;
    let log: Log;
    let privateKey: string;
    const files = (name: string) => openLogFiles(join(folder, name));

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'soulbox-witness-'));
      privateKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
      running = await startSigsumWitness(privateKey);
      witness = { url: running.url, verifier: parseVerifierKey(running.key) };
      log = await openLog({ files: files('log'), privateKey, newOrigin: running.origin });
    });
    afterAll(async () => {
      await running[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    });

    test('signs a log, its growth, and says which size it has signed last', async () => {
      await log.append(leavesOf(0, 300));
      const first = await askWitness(log, witness, 0);
      expect(first).toMatchObject({ kind: 'signed', signature: { type: 'cosignature' } });
      await log.append(leavesOf(300, 700));
      const answer = await askWitness(log, witness, 0);
      if (answer.kind !== 'signed') throw new Error(`The witness has refused: ${answer.status}`);
      expect(Math.abs((answer.signature.signedAt ?? 0) - Date.now() / 1000)).toBeLessThan(60);
      await log.addSignatures(log.checkpoint, [answer.signature.line]);
      await writeFile(join(folder, 'log/log.json'), '{"from":0}');
      const witnesses = [running.key];
      const report = verifyLog({ directory: join(folder, 'log'), key: log.verifierKey, witnesses, quorum: 1 });
      expect(report).toMatchObject({ faults: [], records: 700 });
    });

    test('refuses a rewritten history with the same key, and an older state', async () => {
      const { origin } = log;
      const forged = await openLog({ files: files('forged'), privateKey, newOrigin: origin });
      await forged.append(leavesOf(0, 900, { action: 'sandbox.kill' }));
      expect(await askWitness(forged, witness, 700)).toMatchObject({ kind: 'refused', status: 422 });
      const old = await openLog({ files: files('old'), privateKey, newOrigin: origin });
      await old.append(leavesOf(0, 300));
      expect(await askWitness(old, witness, 300)).toMatchObject({ kind: 'refused', status: 409, size: 700 });
    });

    test('refuses a log that it does not know', async () => {
      await using other = await makeLog(3);
      expect(await askWitness(other.log, witness, 0)).toMatchObject({ kind: 'refused' });
    });
  },
);

describe('a witness that misbehaves', () => {
  async function answeredBy(status: number, body: string | undefined, headers: Record<string, string> = {}) {
    await using made = await makeLog(3);
    const server = createServer((request, response) => {
      request.resume();
      request.on('end', () => {
        response.writeHead(status, headers);
        if (body === undefined) response.destroy();
        else response.end(body);
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const verifier = createVerifier('witness.example', 'cosignature', rawKey(made.privateKey));
    try {
      return await askWitness(made.log, { url: `http://127.0.0.1:${port}`, verifier }, 0);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  }
  const notReady = expect.objectContaining({ reason: 'host_not_ready' }) as Error;

  test.each([
    ['answers nothing', 200, ''],
    [
      'answers with a signature of an unknown key',
      200,
      `\u2014 other.example ${Buffer.alloc(76).toString('base64')}\n`,
    ],
    ['hangs up', 200, undefined],
    ['answers without end', 200, 'x'.repeat(1_000_000)],
  ])('and %s is an error', async (_, status, body) => {
    await expect(answeredBy(status, body)).rejects.toThrow(notReady);
  });

  test('and answers with a page is an error', async () => {
    await expect(answeredBy(200, '<html>\n')).rejects.toThrow(
      expect.objectContaining({ reason: 'state_damaged' }) as Error,
    );
  });

  test('and sends us elsewhere is not followed', async () => {
    await expect(answeredBy(302, '', { location: 'http://127.0.0.1:1/' })).rejects.toThrow(notReady);
  });

  test('and claims a size that we do not have is a refusal, not a proof for it', async () => {
    const size = { 'content-type': 'text/x.tlog.size' };
    expect(await answeredBy(409, '99\n', size)).toEqual({ kind: 'refused', status: 409, size: 99 });
    expect(await answeredBy(409, '2\n', size)).toEqual({ kind: 'refused', status: 409, size: 2 });
    expect(await answeredBy(409, '1e9\n', size)).toEqual({ kind: 'refused', status: 409, size: undefined });
  });
});
