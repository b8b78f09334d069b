/** @module-tag violation */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SoulBoxError } from '@soulbox/base';
import { ada, startTestPeople } from '../testing/test-people.ts';
import type { TestPeople } from '../testing/test-people.ts';
import type { TestBrowser } from '../testing/test-browser.ts';

let test: TestPeople;
let browser: TestBrowser;
let headers: Record<string, string>;
beforeEach(async () => {
  test = await startTestPeople();
  browser = test.openBrowser();
  await test.add(ada, { [test.api.teamId]: 'developer' });
  await test.signIn(browser);
  const session = JSON.parse((await browser.call('GET', '/auth/session')).text) as { csrfToken: string };
  headers = { 'x-csrf-token': session.csrfToken };
});
afterEach(() => test[Symbol.asyncDispose]());

const full = () => Promise.reject(new SoulBoxError('disk_full', 'no room'));

it('sessions and tokens are valid although their use cannot be recorded, and the log says so', async () => {
  const made = await browser.call('POST', '/personal-tokens', { headers, body: { name: 'x' } });
  const { token } = JSON.parse(made.text) as { token: string };
  test.api.records.sessions.touch = full;
  test.api.records.personalTokens.touch = full;
  test.now.value += 10 * 60_000;
  expect((await browser.call('GET', '/auth/session')).status).toBe(200);
  expect((await test.api.ask('GET', '/v2/sandboxes', { key: `${token}_${test.api.teamId}` })).status).toBe(200);
  expect(await test.api.readLog()).toContain('use of a session or a personal token could not be recorded');
});

it('a sign-in, a new token and a program that was allowed get 507, and nobody is half signed in', async () => {
  test.api.records.sessions.create = full;
  test.api.records.personalTokens.create = full;
  const other = test.openBrowser();
  const page = await test.signIn(other);
  expect([page.status, other.cookies.size]).toEqual([507, 0]);
  expect((await browser.call('POST', '/personal-tokens', { headers, body: { name: 'x' } })).status).toBe(507);
});

it('a sign-out works although the log of a team is full, and a sign-in does not', async () => {
  const { audit } = test.api.records;
  const findHead = audit.findHead.bind(audit);
  audit.findHead = async (team) => {
    const head = await findHead(team);
    return head && { ...head, bytes: Infinity };
  };
  expect((await test.signIn(test.openBrowser())).status).not.toBe(200);
  expect((await browser.call('DELETE', '/auth/session', { headers })).status).toBe(204);
  expect((await browser.call('GET', '/auth/session')).status).toBe(401);
});
