import { mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAuditSigningKey, openCheckpoint, openLog, openLogFiles, parseVerifierKey } from '@soulbox/audit';
import type { Log } from '@soulbox/audit';
import { isSigsumInstalled, startSigsumWitness } from '@soulbox/audit/testing';
import type { SigsumWitness } from '@soulbox/audit/testing';
import { removeTree } from '@soulbox/base';
import { silentLogger } from '@soulbox/base/logger';
import { startTestApi, until } from '../testing/test-api.ts';
import { createWitnessing } from './witnessing.ts';
import type { Witnessing } from './witnessing.ts';

let folder: string;
let log: Log;
let now: number;
const clock = { now: () => now };
const privateKey = async () => (await openAuditSigningKey(folder)).reveal();

/** Stands in for a witness that is away or behaves badly. */
async function listen(answer: (server: Server) => void): Promise<{ readonly url: string } & AsyncDisposable> {
  const server = createServer();
  answer(server);
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const append = async (count: number): Promise<void> => {
  await log.append(Array.from({ length: count }, (_, n) => Buffer.from(`entry ${n} of ${log.checkpoint.size}`)));
};
const start = (witnesses: { url: string; key: string }[], more: { quorum?: number; maxMs?: number } = {}): Witnessing =>
  createWitnessing({ witnesses, quorum: 1, maxMs: 0, clock, logger: silentLogger, ...more });
/** As the sequencer calls it, until something holds. */
async function followUntil(witnessing: Witnessing, holds: () => boolean | Promise<boolean>): Promise<void> {
  await until(async () => {
    await witnessing.follow('t', log);
    return await holds();
  });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-witnessing-'));
  now = 1_000_000_000_000;
});
afterEach(() => removeTree(folder));

// In CI, a missing program is a failure.
describe.skipIf(!isSigsumInstalled && process.env['CI'] !== 'true')(
  'an unmodified witness (Debian package sigsum-go, which is not installed if this is skipped)',
  () => {
    let sigsum: SigsumWitness;
    beforeEach(async () => {
      sigsum = await startSigsumWitness(await privateKey());
      log = await openLog({
        files: openLogFiles(join(folder, 'log')),
        privateKey: await privateKey(),
        newOrigin: sigsum.origin,
      });
    });
    afterEach(() => sigsum[Symbol.asyncDispose]());

    it('signs the checkpoints of a log that grows meanwhile, at most one in ten seconds', async () => {
      const witnessing = start([sigsum]);
      for (let round = 1; round <= 5; round += 1) {
        await append(70);
        await witnessing.follow('t', log);
        // Grows while the witness is asked.
        await append(30);
        await followUntil(
          witnessing,
          async () => (await log.readWitnessed())?.split('\n')[1] === `${round * 100 - 30}`,
        );
        now += 10_000;
        await followUntil(witnessing, async () => (await log.readWitnessed())?.split('\n')[1] === `${round * 100}`);
        now += 10_000;
      }
      const verifier = parseVerifierKey(sigsum.key);
      const witnessed = openCheckpoint((await log.readWitnessed()) ?? '', log.verifierKey, [verifier]);
      expect(witnessed.signatures.map(({ type }) => type)).toContain('cosignature');
      // The published checkpoint is the same one now, and has the signature too.
      expect(log.checkpoint.note).toBe(await log.readWitnessed());
      expect(witnessing.listFigures()).toMatchObject([{ signatures: 10, failures: 0 }]);
      expect(witnessing.countBehind()).toBe(0);
    });

    it('refuses a log that was set back, which is seen, and nothing is overwritten', async () => {
      const witnessing = start([sigsum]);
      await append(50);
      await followUntil(witnessing, async () => (await log.readWitnessed()) !== undefined);
      const forked = await openLog({
        files: openLogFiles(join(folder, 'forked')),
        privateKey: await privateKey(),
        newOrigin: sigsum.origin,
      });
      await forked.append(Array.from({ length: 60 }, () => Buffer.from('another history')));
      const other = start([sigsum]);
      await until(async () => {
        await other.follow('t', forked);
        return other.stateOf('t')[0]?.problem === 'refused';
      });
      expect(await forked.readWitnessed()).toBeUndefined();
      expect(other.countBehind()).toBe(1);
    });

    it('is asked by a server that has it in its settings, and status, metrics and verification show it', async () => {
      await using api = await startTestApi({
        config: { auditWitnesses: [{ url: sigsum.url, key: sigsum.key }] },
        prepare: async ({ audit, teamId }) => {
          await mkdir(join(audit.directory, teamId), { recursive: true });
          await openLog({
            files: openLogFiles(join(audit.directory, teamId)),
            privateKey: await privateKey(),
            newOrigin: sigsum.origin,
          });
        },
        signingKey: await openAuditSigningKey(folder),
      });
      await api.ask('POST', '/api-keys', { body: { name: 'x' } });
      interface Info {
        readonly size: number;
        readonly witnessedSize: number;
        readonly witnesses: readonly { readonly size: number; readonly problem: string | null }[];
      }
      await until(async () => ((await api.ask('GET', '/audit')).json as Info).witnessedSize > 0);
      const info = (await api.ask('GET', '/audit')).json as Info;
      expect(info.witnesses).toMatchObject([{ name: sigsum.key.split('+')[0], problem: null }]);
      const note = (await api.ask('GET', '/audit/log/witnessed-checkpoint')).text;
      expect(note).toContain(sigsum.key.split('+')[0]);
      const metrics = (await api.ask('GET', '/metrics', { key: null, headers: bearer })).text;
      expect(metrics).toMatch(/soulbox_audit_witness_signatures_total\{witness="sigsum\.org[^"]*"\} [1-9]/);
    });
  },
);

describe('witnesses that are away', () => {
  const key = 'witness.example+283095ee+BAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB';
  beforeEach(async () => {
    log = await openLog({
      files: openLogFiles(join(folder, 'log')),
      privateKey: await privateKey(),
      newOrigin: 'log.example',
    });
    await append(5);
  });

  it('are left alone for longer each time, and never keep the sequencer waiting', async () => {
    let requests = 0;
    await using away = await listen((server) => {
      server.on('request', (request) => {
        requests += 1;
        request.socket.destroy();
      });
    });
    const witnessing = start([{ url: away.url, key }]);
    await followUntil(witnessing, () => witnessing.stateOf('t')[0]?.problem === 'unreachable');
    for (let second = 0; second < 300; second += 1) {
      now += 1000;
      await witnessing.follow('t', log);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    // After 0, 10, 30, 70, 150 and (not yet) 310 seconds.
    expect(requests).toBeLessThanOrEqual(6);
    expect(requests).toBeGreaterThanOrEqual(4);
    expect(witnessing.isOverdue('t')).toBe(false);
  });

  it('that never answer do not hold up more than four logs at once', async () => {
    let open = 0;
    await using silent = await listen((server) => {
      server.on('request', () => (open += 1));
    });
    const witnessing = start([{ url: silent.url, key }]);
    for (let team = 0; team < 50; team += 1) await witnessing.follow(`t${team}`, log);
    await until(() => open === 4);
    for (let team = 0; team < 50; team += 1) await witnessing.follow(`t${team}`, log);
    expect(open).toBe(4);
  });

  it('make the log overdue only after the time that the operator allows', async () => {
    const witnessing = start([{ url: 'http://127.0.0.1:1', key }], { maxMs: 60_000 });
    await witnessing.follow('t', log);
    now += 60_000;
    await witnessing.follow('t', log);
    expect(witnessing.isOverdue('t')).toBe(false);
    now += 1;
    expect([witnessing.isOverdue('t'), witnessing.isOverdue('another')]).toEqual([true, false]);
  });

  it('make a server refuse actions when it is set so, but not kills and reading', async () => {
    await using api = await startTestApi({
      clock,
      config: { auditWitnesses: [{ url: 'http://127.0.0.1:1', key }], auditWitnessMaxMinutes: 5 },
    });
    const create = async (): Promise<number> =>
      (await api.ask('POST', '/sandboxes', { body: { templateID: 'base' } })).status;
    const made = await api.ask('POST', '/sandboxes', { body: { templateID: 'base' } });
    const { sandboxID } = made.json as { sandboxID: string };
    await until(async () => ((await api.ask('GET', '/audit')).json as { size: number }).size > 0);
    await until(async () => (await readFile(join(api.folder, 'api.log'), 'utf8')).includes('a witness has not signed'));
    now += 5 * 60_000 + 1;
    expect(await create()).toBe(503);
    expect((await api.ask('POST', '/api-keys', { body: { name: 'x' } })).status).toBe(503);
    expect((await api.ask('GET', `/sandboxes/${sandboxID}`)).status).toBe(200);
    expect((await api.ask('DELETE', `/sandboxes/${sandboxID}`)).status).toBe(204);
  });
});

const bearer = { authorization: 'Bearer a-token-for-the-metrics' };
