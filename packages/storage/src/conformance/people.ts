import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditNote } from '../records/audit.ts';
import type { PersonalTokenRecord } from '../records/personal-tokens.ts';
import type { Records } from '../records/records.ts';
import type { SessionRecord } from '../records/sessions.ts';
import type { UserRecord } from '../records/users.ts';
import { makeRecords, otherTeam, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for every implementation of the records of users, memberships, sessions and personal tokens. */
export function describePeople(name: string, open: OpenRecords): void {
  describe(`people in ${name}`, () => {
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

    const user = (id: string, more: Partial<UserRecord> = {}): UserRecord => ({
      ...{ id, issuer: '', subject: '', email: `${id}@example.com`, name: '', createdAt: 1, lastSignInAt: undefined },
      ...more,
    });
    const add = async (id: string, more: Partial<UserRecord> = {}, limit = 10) =>
      await records.users.create(user(id, more), limit);
    const noteOf = (teamId: string): AuditNote => ({ teamId, compose: ({ seq }) => `record ${String(seq)}` });
    const factsOf = (subject: string, at = 5) => ({ issuer: 'i', subject, email: 'n@example.com', name: 'N', at });
    const member = (userId: string, teamId: string, role: 'viewer' | 'developer' | 'admin') => ({
      ...{ userId, teamId, role, source: 'operator' as const, createdAt: 1 },
    });

    describe('users', () => {
      it('are unique by subject, and by address until they are bound', async () => {
        expect(await add('a')).toBe('created');
        expect(await add('b', { email: 'a@example.com' })).toBe('user_exists');
        expect(await add('b', { email: 'a@example.com', issuer: 'i', subject: 's' })).toBe('created');
        expect(await add('c', { issuer: 'i', subject: 's' })).toBe('user_exists');
        expect(await add('c', { issuer: 'other', subject: 's' })).toBe('created');
        expect((await records.users.list()).map(({ id }) => id)).toEqual(['a', 'b', 'c']);
      });

      it('are limited in number', async () => {
        expect(await add('a', {}, 1)).toBe('created');
        expect(await add('b', {}, 1)).toBe('limit_reached');
      });

      it('are bound by the first sign-in and never to another subject', async () => {
        await add('a');
        expect(await records.users.findUnbound('a@example.com')).toMatchObject({ id: 'a' });
        expect(await records.users.noteSignIn('a', factsOf('s'))).toBe(true);
        expect(await records.users.findUnbound('a@example.com')).toBeUndefined();
        expect(await records.users.findUnbound('n@example.com')).toBeUndefined();
        expect(await records.users.findBySubject('i', 's')).toEqual(
          user('a', { issuer: 'i', subject: 's', email: 'n@example.com', name: 'N', lastSignInAt: 5 }),
        );
        expect(await records.users.noteSignIn('a', factsOf('t'))).toBe(false);
        expect(await records.users.noteSignIn('a', { ...factsOf('s'), issuer: 'other' })).toBe(false);
        expect(await records.users.noteSignIn('nobody', factsOf('s'))).toBe(false);
        expect(await records.users.findBySubject('i', '')).toBeUndefined();
      });

      it('are removed with everything of theirs, and with a record in each log that is named', async () => {
        await add('a');
        await records.memberships.put(member('a', team, 'admin'));
        await records.sessions.create(session('s1'), 9);
        await records.personalTokens.create(token('t1'), 9);
        expect(await records.users.remove('a', [noteOf(team), noteOf('other')])).toBe(true);
        expect(await records.users.remove('a', [noteOf(team)])).toBe(false);
        expect(await records.memberships.listOfTeam(team)).toEqual([]);
        expect(await records.sessions.findByHash('hash s1')).toBeUndefined();
        expect(await records.personalTokens.find('t1')).toBeUndefined();
        expect((await records.audit.findHead(team))?.next).toBe(1);
        expect((await records.audit.findHead('other'))?.next).toBe(1);
      });
    });

    describe('memberships', () => {
      beforeEach(async () => {
        await add('a');
      });

      it('have one role, which a second call replaces', async () => {
        await records.memberships.put(member('a', team, 'admin'));
        await records.memberships.put(member('a', team, 'viewer'));
        expect(await records.memberships.listOfUser('a')).toEqual([member('a', team, 'viewer')]);
        expect(await records.memberships.findRole('a', team)).toBe('viewer');
        expect(await records.memberships.findRole('a', 'other')).toBeUndefined();
        expect(await records.memberships.findRole('b', team)).toBeUndefined();
        expect(await records.memberships.remove('a', team)).toBe(true);
        expect(await records.memberships.remove('a', team)).toBe(false);
      });

      it('need a team and a user that exist', async () => {
        await expect(records.memberships.put(member('a', 'none', 'admin'))).rejects.toMatchObject({
          reason: 'team_not_found',
        });
        await expect(records.memberships.put(member('none', team, 'admin'))).rejects.toMatchObject({
          reason: 'user_not_found',
        });
      });

      it('by groups are replaced as a whole, beside those of the operator, of which the higher role counts', async () => {
        await records.memberships.put(member('a', team, 'developer'));
        const told: string[] = [];
        const replace = async (...wanted: { teamId: string; role: 'viewer' | 'admin' }[]) =>
          await records.memberships.replaceGroups('a', wanted, 2, ({ change, teamId }) => {
            told.push(`${change} ${teamId}`);
            return noteOf(teamId);
          });
        await replace({ teamId: team, role: 'viewer' }, { teamId: 'none', role: 'admin' });
        expect(await records.memberships.findRole('a', team)).toBe('developer');
        await replace({ teamId: team, role: 'admin' }, { teamId: 'other', role: 'viewer' });
        expect(await records.memberships.findRole('a', team)).toBe('admin');
        expect(await replace({ teamId: team, role: 'admin' })).toEqual([{ change: 'remove', teamId: 'other' }]);
        expect(await replace()).toEqual([{ change: 'remove', teamId: team }]);
        expect(await records.memberships.listOfUser('a')).toEqual([member('a', team, 'developer')]);
        expect(told).toEqual([`add ${team}`, `change ${team}`, 'add other', 'remove other', `remove ${team}`]);
        expect((await records.audit.findHead(team))?.next).toBe(3);
      });

      it('end with their team', async () => {
        await records.memberships.put(member('a', 'other', 'admin'));
        expect(await records.teams.remove('other')).toBe(true);
        expect(await records.memberships.listOfUser('a')).toEqual([]);
      });
    });

    const session = (id: string, more: Partial<SessionRecord> = {}): SessionRecord => ({
      ...{ id, hash: `hash ${id}`, userId: 'a', createdAt: 1, seenAt: 1, expiresAt: 10, providerSid: '' },
      ...more,
    });
    const token = (id: string, more: Partial<PersonalTokenRecord> = {}): PersonalTokenRecord => ({
      ...{
        id,
        hash: `hash ${id}`,
        userId: 'a',
        name: id,
        suffix: 'abcd',
        isOfProgram: false,
        createdAt: 1,
        expiresAt: 10,
      },
      lastUsedAt: undefined,
      ...more,
    });

    describe('sessions', () => {
      beforeEach(async () => {
        await add('a');
      });

      it('are found by hash, touched, and removed', async () => {
        await records.sessions.create(session('s1'), 9);
        await records.sessions.touch('s1', 7);
        await records.sessions.touch('s1', 3);
        expect(await records.sessions.findByHash('hash s1')).toEqual(session('s1', { seenAt: 7 }));
        expect(await records.sessions.find('s1')).toMatchObject({ id: 's1' });
        expect(await records.sessions.findByHash('hash')).toBeUndefined();
        expect(await records.sessions.remove('s1')).toBe(true);
        expect(await records.sessions.remove('s1')).toBe(false);
      });

      it('beyond the limit end with the oldest', async () => {
        for (const id of ['s1', 's2', 's3']) await records.sessions.create(session(id), 2);
        expect(await records.sessions.findByHash('hash s1')).toBeUndefined();
        expect(await records.sessions.findByHash('hash s2')).toBeDefined();
        expect(await records.sessions.endOfUser('a')).toEqual({ sessions: 2, tokens: 0 });
      });

      it('are purged after their end, some at a time', async () => {
        for (const id of ['s1', 's2', 's3']) await records.sessions.create(session(id), 9);
        expect(await records.sessions.purge(10, 9)).toBe(0);
        expect(await records.sessions.purge(11, 2)).toBe(2);
        expect(await records.sessions.purge(11, 2)).toBe(1);
      });
    });

    describe('personal tokens', () => {
      beforeEach(async () => {
        await add('a');
        await add('b');
      });

      it('are found by hash, listed, touched, and removed by their user only', async () => {
        expect(await records.personalTokens.create(token('t1'), 9)).toBe('created');
        expect(await records.personalTokens.create(token('t2'), 9)).toBe('created');
        await records.personalTokens.touch('t1', 7);
        await records.personalTokens.touch('t1', 3);
        expect(await records.personalTokens.list('a')).toEqual([token('t2'), token('t1', { lastUsedAt: 7 })]);
        expect(await records.personalTokens.list('b')).toEqual([]);
        await records.personalTokens.create(token('t3', { isOfProgram: true }), 9);
        expect(await records.sessions.endOfUser('b')).toEqual({ sessions: 0, tokens: 0 });
        expect(await records.sessions.endOfUser('a')).toEqual({ sessions: 0, tokens: 1 });
        expect(await records.personalTokens.find('t3')).toBeUndefined();
        expect(await records.personalTokens.remove('b', 't1')).toBe(false);
        expect(await records.personalTokens.findByHash('hash t1')).toMatchObject({ id: 't1' });
        expect(await records.personalTokens.remove('a', 't1')).toBe(true);
      });

      it('are made for a session only while it lasts, and end with it at the provider', async () => {
        await records.sessions.create(session('s1', { providerSid: 'sid 1' }), 9);
        await records.sessions.create(session('s2', { providerSid: 'sid 2' }), 9);
        const program = (id: string, more: object = {}) => token(id, { isOfProgram: true, ...more });
        expect(await records.personalTokens.create(program('t1'), 9, 's1')).toBe('created');
        expect(await records.personalTokens.create(program('t2'), 9, 's2')).toBe('created');
        expect(await records.personalTokens.create(token('t3'), 9, 's1')).toBe('created');
        expect(await records.personalTokens.create(program('t4', { userId: 'b' }), 9, 's1')).toBe('session_ended');
        expect([await records.sessions.findUsers('sid 1'), await records.sessions.findUsers('sid')]).toEqual([
          ['a'],
          [],
        ]);
        expect(await records.sessions.endOfUser('a', { providerSid: 'sid 1' })).toEqual({ sessions: 1, tokens: 1 });
        expect((await records.personalTokens.list('a')).map(({ id }) => id)).toEqual(['t3', 't2']);
        expect(await records.personalTokens.create(program('t5'), 9, 's1')).toBe('session_ended');
        expect(await records.sessions.remove('s2')).toBe(true);
        expect(await records.sessions.findUsers('sid 2')).toEqual(['a']);
        expect(await records.sessions.endOfUser('a', { providerSid: 'sid 2' })).toEqual({ sessions: 0, tokens: 1 });
      });

      it('and sessions without a name at the provider end with any of its sessions', async () => {
        for (const [id, providerSid] of Object.entries({ s1: 'sid 1', s2: 'sid 2', s3: '' }))
          await records.sessions.create(session(id, { providerSid }), 9);
        await records.personalTokens.create(token('t1', { isOfProgram: true }), 9, 's3');
        expect(await records.sessions.endOfUser('a', { providerSid: 'sid 1' })).toEqual({ sessions: 2, tokens: 1 });
        expect(await records.sessions.find('s2')).toBeDefined();
      });

      it('and sessions are committed together with their records, if anything changes', async () => {
        const note = noteOf(team);
        const count = async () => (await records.audit.listWaiting(team, 0, 99)).length;
        await records.sessions.create(session('s1'), 9, [note]);
        await records.personalTokens.create(token('t1', { isOfProgram: true }), 1, 's1', [note]);
        expect(await count()).toBe(2);
        await records.personalTokens.create(token('t2'), 9, 'gone', [note]);
        await records.personalTokens.create(token('t2'), 1, 's1', [note]);
        expect(await count()).toBe(2);
        for (let n = 0; n < 2; n += 1) await records.sessions.endOfUser('a', { notes: [note] });
        expect(await count()).toBe(3);
        const compose = () => {
          throw new Error('no record');
        };
        await expect(records.sessions.create(session('s2'), 9, [{ ...note, compose }])).rejects.toThrow('no record');
        expect(await records.sessions.find('s2')).toBeUndefined();
      });

      it('are limited in number, without those that have expired', async () => {
        expect(await records.personalTokens.create(token('t1'), 1)).toBe('created');
        expect(await records.personalTokens.create(token('t2'), 1)).toBe('limit_reached');
        expect(await records.personalTokens.create(token('t3', { createdAt: 10, expiresAt: 20 }), 1)).toBe('created');
        expect(await records.personalTokens.find('t1')).toBeUndefined();
        expect(await records.personalTokens.purge(21, 9)).toBe(1);
      });
    });
  });
}
