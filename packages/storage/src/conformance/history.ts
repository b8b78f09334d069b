import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventQuery } from '../records/events.ts';
import { lifecycleEventTypes } from '../records/lifecycle-event.ts';
import type { Records } from '../records/records.ts';
import type { ReportedSandbox } from '../records/sandbox-record.ts';
import { facts } from './facts.ts';
import type { DueQuery, WebhookRecord } from '../records/webhooks.ts';
import { makeRecords, otherTeam, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for every implementation of EventRecords, WebhookRecords and DeliveryRecords. */
export function describeHistory(name: string, open: OpenRecords): void {
  describe(`events and webhooks in ${name}`, () => {
    let folder: string;
    let records: Records;
    let team: string;

    beforeEach(async () => {
      ({ folder, records, team } = await makeRecords(open));
      await records.teams.create(otherTeam);
    });
    afterEach(async () => {
      await removeRecords(folder, records);
    });

    const put = (id: string, more: Partial<ReportedSandbox> = {}, now = 5) =>
      records.sandboxes.put(facts(id, team, 1, more), now);
    const eventPage = (more: Partial<EventQuery> = {}) => {
      const all = { teamId: team, sandboxId: undefined, types: [], after: 0, order: 'asc', offset: 0, limit: 100 };
      return records.events.list({ ...all, maxChars: 1e9, ...more } as EventQuery);
    };
    const events = async (more: Partial<EventQuery> = {}) => (await eventPage(more)).events;
    const types = async (more: Partial<EventQuery> = {}) =>
      (await events(more)).map((event) => event.type.replace('sandbox.lifecycle.', ''));

    describe('events', () => {
      it('record the life of a sandbox in order, each with its cause, time and execution', async () => {
        await put('ia', { metadata: { a: 'b' } });
        await put('ia', { metadata: { a: 'b' }, endAt: 77 }, 6);
        await put('ia', { metadata: { a: 'b' }, state: 'paused', stateSince: 20, cause: 'idle' });
        await put('ia', { metadata: { a: 'b' }, stateSince: 30, cause: 'traffic' });
        await records.events.addCheckpoint('ia', 35);
        await records.sandboxes.end('ia', 'killed', 41);
        const [created, updated, paused, resumed, checkpointed, killed] = await events();
        expect(created).toMatchObject({
          type: 'sandbox.lifecycle.created',
          at: 1,
          cause: 'request',
          execution: undefined,
        });
        expect(updated).toMatchObject({ type: 'sandbox.lifecycle.updated', at: 6, metadata: { a: 'b' } });
        expect(paused).toMatchObject({ type: 'sandbox.lifecycle.paused', at: 20, cause: 'idle' });
        expect(paused?.execution).toEqual({ startedAt: 1, endedAt: 20, cpuCount: 2, memoryMb: 1024 });
        expect(resumed).toMatchObject({ type: 'sandbox.lifecycle.resumed', at: 30, cause: 'traffic' });
        expect(checkpointed).toMatchObject({ type: 'sandbox.lifecycle.checkpointed', at: 35, snapshotId: undefined });
        expect(killed?.execution).toEqual({ startedAt: 30, endedAt: 41, cpuCount: 2, memoryMb: 1024 });
        expect(paused?.executionId).toBe(created?.executionId);
        expect(killed?.executionId).not.toBe(created?.executionId);
        const numbers = (await events()).map((event) => event.sequence);
        expect(numbers).toEqual(numbers.toSorted((one, two) => one - two));
        expect(new Set(numbers).size).toBe(6);
      });

      it("record once each that a sandbox stopped for lack of space on the host's disk, and that it continued", async () => {
        await put('ia');
        for (const cause of ['host_disk_full', 'host_disk_full', 'host_disk_free', 'host_disk_free'] as const)
          await put('ia', { cause }, 7);
        expect((await events()).map(({ type, cause }) => `${type.replace('sandbox.lifecycle.', '')} ${cause}`)).toEqual(
          ['created request', 'updated host_disk_full', 'updated host_disk_free'],
        );
      });

      it('are not repeated when the same state or an older one is reported again', async () => {
        for (let n = 0; n < 3; n++) await put('ia');
        for (let n = 0; n < 3; n++) await put('ia', { state: 'paused', stateSince: 20 });
        await put('ia');
        await records.sandboxes.end('ia', 'killed', 30);
        await records.sandboxes.end('ia', 'timeout', 31);
        expect(await types()).toEqual(['created', 'paused', 'killed']);
      });

      it('record the end once, even if its cause is learned later', async () => {
        await put('ia');
        await records.sandboxes.end('ia', 'lost', 9);
        await records.sandboxes.end('ia', 'timeout', 10);
        expect(await types()).toEqual(['created', 'killed']);
      });

      it('include a pause that the records missed, and a resume whose pause they missed', async () => {
        await put('ia', { state: 'paused', stateSince: 9, cause: 'timeout' });
        await put('ib');
        await put('ib', { stateSince: 50, cause: 'traffic' });
        expect(await types({ sandboxId: 'ia' })).toEqual(['created', 'paused']);
        expect((await events({ sandboxId: 'ia' })).map((event) => event.cause)).toEqual(['interrupted', 'timeout']);
        expect(await types({ sandboxId: 'ib' })).toEqual(['created', 'resumed']);
      });

      it('have no execution when a paused sandbox ends', async () => {
        await put('ia', { state: 'paused', stateSince: 9 });
        await records.sandboxes.end('ia', 'killed', 12);
        expect((await events()).at(-1)).toMatchObject({ type: 'sandbox.lifecycle.killed', execution: undefined });
      });

      it('are read from any number on, by page, type and sandbox, of the own team only', async () => {
        for (let n = 0; n < 5; n++) await put(`i${n}`);
        await records.sandboxes.put(facts('ix', 'other', 1), 1);
        const all = await events();
        expect(all).toHaveLength(5);
        expect((await events({ after: all[2]?.sequence ?? 0 })).map((event) => event.sandboxId)).toEqual(['i3', 'i4']);
        expect(await events({ after: 1e15 })).toEqual([]);
        expect((await events({ order: 'desc', limit: 2, offset: 1 })).map((event) => event.sandboxId)).toEqual([
          ...['i3', 'i2'],
        ]);
        expect(await events({ types: ['sandbox.lifecycle.killed'] })).toEqual([]);
        expect(await events({ sandboxId: "i1' OR 1=1" })).toEqual([]);
        expect(await events({ teamId: 'other' })).toHaveLength(1);
      });

      it('are written with their row or not at all', async () => {
        expect(await records.sandboxes.put(facts('ia', 'nobody', 1), 1)).toBe(false);
        await expect(
          records.sandboxes.completeCreation('c', [facts('ia', team, 1), facts('ib', 'nobody', 1)], 1),
        ).rejects.toThrow();
        expect(await events()).toEqual([]);
        expect(await records.events.addCheckpoint('ia', 1)).toBe(false);
      });

      it("contain the sandbox's metadata of that time, stored once for all events with the same", async () => {
        const large = { a: 'x'.repeat(200_000) };
        const other = { a: 'y'.repeat(100) };
        for (let n = 0; n < 300; n++) await put('ia', { metadata: large, endAt: 100 + n }, n);
        await put('ia', { metadata: other, endAt: 900 }, 900);
        await put('ia', { metadata: large, endAt: 901 }, 901);
        const carried = (await events({ limit: 1000 })).map(({ metadata }) => metadata['a']?.[0]);
        expect(carried.join('')).toBe(`${'x'.repeat(300)}yx`);
        let bytes = 0;
        for (const name of await readdir(folder)) bytes += (await stat(join(folder, name))).size;
        // The write-ahead log keeps the rewritten versions of the sandbox's row, up to 4 MiB or a little more.
        expect(bytes).toBeLessThan(12_000_000);
      });

      it('are returned up to a size, but a single one of any size', async () => {
        for (let n = 0; n < 10; n++) await put(`i${n}`, { metadata: { a: 'x'.repeat(10_000) } });
        const read: string[] = [];
        for (let after = 0, pages = 0; ; pages++) {
          const { events: page, hasMore } = await eventPage({ after, maxChars: 35_000 });
          expect(page.length).toBeGreaterThan(0);
          read.push(...page.map(({ sandboxId }) => sandboxId));
          if (!hasMore) {
            expect(pages).toBe(3);
            break;
          }
          after = page.at(-1)?.sequence ?? 0;
        }
        expect(read).toEqual(Array.from({ length: 10 }, (_, n) => `i${n}`));
        expect((await eventPage({ maxChars: 1 })).events).toHaveLength(1);
        expect((await eventPage({ limit: 10 })).hasMore).toBe(false);
        expect((await eventPage({ limit: 9 })).hasMore).toBe(true);
      });

      it('are purged by age, a limited number at a time, and numbers are never reused', async () => {
        for (let n = 0; n < 3; n++) await put(`i${n}`);
        const last = (await events()).at(-1)?.sequence ?? 0;
        expect(await records.events.purge(1, 10)).toBe(0);
        expect(await records.events.purge(2, 2)).toBe(2);
        expect(await records.events.purge(2, 2)).toBe(1);
        await records[Symbol.asyncDispose]();
        records = await open(folder);
        await put('i9');
        expect((await events())[0]?.sequence).toBeGreaterThan(last);
      });
    });

    const webhook = (id: string, more: Partial<WebhookRecord> = {}): WebhookRecord => ({
      ...{ id, teamId: team, name: id, url: 'https://hooks.test/', enabled: true, events: lifecycleEventTypes },
      ...{ sealedSecret: 'hush hush', createdAt: 1, ...more },
    });

    describe('webhooks', () => {
      it('are read as they were written', async () => {
        const written = webhook('w1', { events: ['sandbox.lifecycle.killed'], enabled: false });
        expect(await records.webhooks.create(written, 10)).toBe(true);
        expect(await records.webhooks.find(team, 'w1')).toEqual(written);
      });

      it('belong to one team, and are limited per team', async () => {
        expect(await records.webhooks.create(webhook('w1'), 1)).toBe(true);
        expect(await records.webhooks.create(webhook('w2'), 1)).toBe(false);
        expect(await records.webhooks.create(webhook('w3', { teamId: 'other' }), 1)).toBe(true);
        expect(await records.webhooks.find('other', 'w1')).toBeUndefined();
        expect(await records.webhooks.update('other', 'w1', { name: 'stolen' })).toBeUndefined();
        expect(await records.webhooks.remove('other', 'w1')).toBe(false);
        expect((await records.webhooks.list(team)).map((entry) => entry.name)).toEqual(['w1']);
      });

      it('change only the given values', async () => {
        await records.webhooks.create(webhook('w1'), 1);
        const changed = await records.webhooks.update(team, 'w1', { url: 'https://new.test/' });
        expect(changed).toMatchObject({ url: 'https://new.test/', name: 'w1', enabled: true });
        expect((await records.webhooks.find(team, 'w1'))?.sealedSecret).toBe('hush hush');
      });
    });

    describe('deliveries', () => {
      const due = (more: Partial<DueQuery> = {}) =>
        records.deliveries.listDue({ now: 100, exceptIds: [], exceptWebhookIds: [], limit: 100, ...more });

      it('are queued with the event, for the webhooks that want it, and call the listeners', async () => {
        await records.webhooks.create(webhook('w1'), 9);
        await records.webhooks.create(webhook('w2', { events: ['sandbox.lifecycle.killed'] }), 9);
        await records.webhooks.create(webhook('w3', { enabled: false }), 9);
        await records.webhooks.create(webhook('w4', { teamId: 'other' }), 9);
        let calls = 0;
        const stop = records.deliveries.onAdded(() => calls++);
        await put('ia');
        expect(calls).toBe(1);
        stop();
        await records.sandboxes.end('ia', 'killed', 9);
        expect(calls).toBe(1);
        const queued = (await due()).map(({ webhook: { id }, event }) => `${id} ${event.type.split('.').at(-1) ?? ''}`);
        expect(queued.sort()).toEqual(['w1 created', 'w1 killed', 'w2 killed']);
      });

      it('keep their id through failures and restarts until they are finished', async () => {
        await records.webhooks.create(webhook('w1'), 9);
        await put('ia');
        const [first] = await due();
        const id = first?.id ?? '';
        await records.deliveries.postpone(id, 500);
        await records[Symbol.asyncDispose]();
        records = await open(folder);
        expect(await due({ now: 499 })).toEqual([]);
        expect(await records.deliveries.nextDueAt(100)).toBe(500);
        expect(await due({ now: 500 })).toMatchObject([{ id, failures: 1, event: { sandboxId: 'ia' } }]);
        await records.deliveries.finish(id);
        expect(await due({ now: 500 })).toEqual([]);
        expect(await records.deliveries.nextDueAt(100)).toBeUndefined();
      });

      it('exclude those in progress and those of a busy webhook', async () => {
        await records.webhooks.create(webhook('w1'), 9);
        for (let n = 0; n < 3; n++) await put(`i${n}`);
        const ids = (await due()).map((delivery) => delivery.id);
        expect((await due({ exceptIds: ids.slice(0, 2) })).map((delivery) => delivery.id)).toEqual(ids.slice(2));
        expect(await due({ exceptWebhookIds: ['w1'] })).toEqual([]);
        expect(await due({ limit: 1 })).toHaveLength(1);
      });

      it('are removed with their webhook, when it is disabled, and with their event', async () => {
        for (const id of ['w1', 'w2', 'w3']) await records.webhooks.create(webhook(id), 9);
        await put('ia');
        await records.webhooks.remove(team, 'w1');
        await records.webhooks.update(team, 'w2', { enabled: false });
        expect((await due()).map((delivery) => delivery.webhook.id)).toEqual(['w3']);
        await records.events.purge(1000, 10);
        expect(await due()).toEqual([]);
      });

      it('are limited for a webhook that never accepts any', async () => {
        await records.webhooks.create(webhook('w1'), 9);
        for (let n = 0; n < 1010; n++) await put(`i${n}`);
        expect(await due({ limit: 5000 })).toHaveLength(1000);
        expect(await events({ limit: 5000 })).toHaveLength(1010);
      });
    });
  });
}
