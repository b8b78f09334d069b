import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestProvider } from '@soulbox/api/testing';
import type { TestProvider } from '@soulbox/api/testing';
import { removeTree } from '@soulbox/base';
import { findFreePort, isThere, nodeProgram, startServer } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { chromium } from 'playwright-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCli, runNode } from '../harness/cli.ts';
import { goTo } from '../harness/go-to.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

// A whole server at which people sign in, a real provider, a real browser, the unmodified E2B CLI and our own.
const program = '/usr/bin/chromium';
const hasBrowser = isThere('chromium, for sign-in', existsSync(program));
const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const instance = ownInstance();

let provider: TestProvider;
let server: ServerProcess;
let browser: Browser;
let folder: string;
let origin: string;

beforeAll(async () => {
  const port = await findFreePort();
  origin = `https://localhost:${port}`;
  const ada = { sub: 'subject-ada', email: 'ada@example.com', email_verified: true, name: 'Ada', groups: ['makers'] };
  provider = await startTestProvider(origin, ada, { asks: true });
  folder = await mkdtemp(join(tmpdir(), 'people-'));
  const secretFile = join(folder, 'client-secret');
  await writeFile(secretFile, `${provider.clientSecret}\n`, { mode: 0o600 });
  const environment = {
    SOULBOX_ISOLATION: shared.isolation,
    SOULBOX_API_URL: origin,
    SOULBOX_OIDC_ISSUER: provider.issuer,
    SOULBOX_OIDC_CLIENT_ID: provider.clientId,
    SOULBOX_OIDC_CLIENT_SECRET_FILE: secretFile,
    SOULBOX_OIDC_GROUP_ROLES: 'makers=default:developer',
  };
  server = await startServer({ instance, tlsPort: port, poolSize: 0, environment });
  if (hasBrowser) browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] });
});
afterAll(async () => {
  if (hasBrowser) await browser.close();
  await server.stop();
  await provider[Symbol.asyncDispose]();
  await removeTree(folder);
  await removeTree(server.dataDirectory);
});

/** Our CLI, as the operator or as a person. */
async function soulbox(args: readonly string[], more: Readonly<Record<string, string>> = {}) {
  return await runNode([cliMain, ...args], more);
}
const asOperator = async (...args: string[]) => await soulbox([...args, '--data-dir', server.dataDirectory]);

/** Starts `auth login`, which waits for a person. */
function startLogin(environment: Readonly<Record<string, string>>) {
  const args = [cliMain, 'auth', 'login', `http://127.0.0.1:${server.port}`];
  const child = spawn(nodeProgram, args, { env: { PATH: process.env['PATH'], ...environment }, stdio: 'pipe' });
  let output = '';
  const collect = (text: Buffer): void => void (output += text.toString());
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const closed = once(child, 'close') as Promise<[number | null]>;
  return {
    code: async () => await until('the code is shown', () => /type the code (\S+)/.exec(output)?.[1]),
    end: async () => ({ code: (await closed)[0], output }),
  };
}

async function signIn(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Sign in' }).click();
  if (page.url().startsWith(provider.issuer)) await page.getByRole('button', { name: 'Continue' }).click();
}

test.skipIf(!hasBrowser)('people sign in with a browser, connect both command lines, and sign out', async () => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const complaints: string[] = [];
  context.on('console', (message) => complaints.push(message.text()));
  context.on('weberror', (error) => complaints.push(error.error().message));
  const page = await context.newPage();

  // Nobody is admitted who was not added.
  await goTo(page, `${origin}/account`);
  await signIn(page);
  await page.getByText('You have no account here.').waitFor();
  const added = await asOperator('user', 'add', 'ada@example.com');
  expect(added).toMatchObject({ code: 0 });
  await goTo(page, `${origin}/account`);
  await signIn(page);
  await page.getByRole('heading', { name: 'Your account' }).waitFor();
  expect(page.url()).toBe(`${origin}/account`);
  await page.getByText('ada@example.com').waitFor();
  await page.getByText('developer').waitFor();
  const cookies = await context.cookies(origin);
  expect(cookies).toMatchObject([
    { name: '__Host-soulbox_session', httpOnly: true, secure: true, sameSite: 'Lax', path: '/' },
  ]);
  expect(await page.evaluate('document.cookie')).toBe('');
  // The pages load nothing, so the request is made beside them, with the cookie of the browser.
  const { request } = context;
  const person = (await (await request.get(`${origin}/auth/session`)).json()) as { teams: { teamID: string }[] };
  const headers = { 'x-team-id': person.teams[0]?.teamID ?? '' };
  expect((await request.get(`${origin}/v2/sandboxes`, { headers })).status()).toBe(200);
  expect((await request.post(`${origin}/v2/sandboxes`, { headers, data: { templateID: 'base' } })).status()).toBe(403);

  // Our command line, by a code.
  const home = join(folder, 'home');
  await mkdir(join(home, 'bin'), { recursive: true });
  const own = { HOME: home, NODE_EXTRA_CA_CERTS: server.tlsEnvironment['NODE_EXTRA_CA_CERTS'] ?? '' };
  const waiting = startLogin(own);
  await goTo(page, `${origin}/auth/device`);
  const code = await waiting.code();
  await page.getByLabel('Code').fill(code.toLowerCase());
  await page.getByRole('button', { name: 'Continue' }).click();
  await page.getByRole('button', { name: 'Allow' }).click();
  await page.getByText('The program continues now.').waitFor();
  expect(await waiting.end()).toMatchObject({
    code: 0,
    output: expect.stringContaining('Signed in as ada@example.com') as string,
  });
  expect((await soulbox(['sandbox', 'list'], own)).code).toBe(0);
  expect(await soulbox(['secret', 'list'], own)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('(scope_missing)') as string,
  });

  // The command line of E2B, unmodified. It opens a browser by xdg-open.
  const asked = join(home, 'url');
  await writeFile(join(home, 'bin/xdg-open'), `#!/bin/sh\nprintf %s "$1" > ${asked}\n`);
  await chmod(join(home, 'bin/xdg-open'), 0o755);
  const e2b = {
    ...{ HOME: home, PATH: `${join(home, 'bin')}:${process.env['PATH'] ?? ''}`, E2B_DOCS_BASE: `${origin}/docs` },
    ...{ E2B_API_URL: server.clientEnvironment['E2B_API_URL'] ?? '' },
  };
  const login = runCli(['auth', 'login'], e2b);
  await until('the browser is opened', () => Promise.resolve(existsSync(asked)));
  await goTo(page, await readFile(asked, 'utf8'));
  await page.getByRole('button', { name: 'Allow' }).click();
  await page.getByText('The command line is signed in.').waitFor();
  expect(await login).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Logged in as ada@example.com') as string,
  });
  expect(await runCli(['sandbox', 'list'], e2b)).toMatchObject({ code: 0 });
  expect(await runCli(['auth', 'logout'], e2b)).toMatchObject({ code: 0 });

  // Sign-out, here and at the provider.
  await goTo(page, `${origin}/account`);
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await page.getByRole('heading', { name: 'Signed out' }).waitFor();
  expect(await context.cookies(origin)).toEqual([]);
  await goTo(page, `${origin}/account`);
  expect(page.url()).toContain('/auth/sign-in');

  // The token of the command line lives on, until its user is removed.
  expect((await soulbox(['auth', 'status'], own)).code).toBe(0);
  expect(await asOperator('user', 'remove', 'ada@example.com')).toMatchObject({ code: 0 });
  expect((await soulbox(['auth', 'status'], own)).code).toBe(1);
  expect(complaints.filter((text) => !/status of (?:40\d|503)/.test(text))).toEqual([]);
  const log = await readFile(join(server.dataDirectory, 'server.log'), 'utf8');
  for (const secret of [provider.clientSecret, ...cookies.map(({ value }) => value), 'sbp_'])
    expect(log.includes(secret), secret.slice(0, 4)).toBe(false);
  await context.close();
});
