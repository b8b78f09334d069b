import { existsSync } from 'node:fs';
import { isThere } from '@soulbox/testing';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goTo } from '../harness/go-to.ts';
import { createSandbox } from '../harness/sandbox.ts';
import { server } from '../harness/server.ts';

const program = '/usr/bin/chromium';
const hasBrowser = isThere('chromium, for the pages', existsSync(program));
const domain = server.tls['E2B_DOMAIN'] ?? '';

let browser: Browser;
beforeAll(async () => {
  // Names under .localhost mean this machine. A browser does not trust the server's own CA.
  if (hasBrowser) browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox'] });
});
afterAll(async () => {
  if (hasBrowser) await browser.close();
});

/** A browser that has no key yet, with the failed requests and errors of its pages. */
async function openContext(): Promise<{ context: BrowserContext; complaints: string[]; requests: string[] }> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const complaints: string[] = [];
  const requests: string[] = [];
  context.on('console', (message) => complaints.push(message.text()));
  context.on('weberror', (error) => complaints.push(error.error().message));
  context.on('request', (request) => requests.push(request.url()));
  return { context, complaints, requests };
}

test.skipIf(!hasBrowser)("e2b's link shows the sandbox in a browser after the user has entered the key", async () => {
  const sandbox = await createSandbox({ metadata: { '<img src=x onerror=alert(1)>': '<script>alert(1)</script>' } });
  const { context, complaints, requests } = await openContext();
  try {
    const page = await context.newPage();
    // As @e2b/cli prints it.
    const url = `https://${domain}/dashboard/inspect/sandbox/${sandbox.sandboxId}`;
    expect((await goTo(page, url))?.status()).toBe(401);
    await page.getByLabel('API key').fill('e2b_wrong');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByText('The API key is not valid.').waitFor();
    await page.getByLabel('API key').fill(server.plain['E2B_API_KEY'] ?? '');
    await page.getByRole('button', { name: 'Show' }).click();
    await page.getByRole('heading', { name: `Sandbox ${sandbox.sandboxId}` }).waitFor();
    expect(page.url()).toBe(url);
    expect(await page.getByText('<script>alert(1)</script>').count()).toBe(1);
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({ httpOnly: true, secure: true, sameSite: 'Strict', path: '/dashboard' });
    expect(await page.evaluate('document.cookie')).toBe('');
    // The page has its own style, which the policy allows.
    expect(await page.evaluate('getComputedStyle(document.querySelector("dl")).display')).toBe('grid');

    await page.getByRole('button', { name: 'Forget the key' }).click();
    await page.getByRole('heading', { name: 'SoulBox' }).waitFor();
    expect(await context.cookies()).toEqual([]);
    expect((await goTo(page, url))?.status()).toBe(401);
    expect(new Set(requests.map((request) => new URL(request).host))).toEqual(new Set([domain]));
    expect(requests.filter((request) => request.includes('e2b_'))).toEqual([]);
    // The browser itself reports 401 on the console.
    expect(complaints.filter((text) => !text.includes('status of 401'))).toEqual([]);
  } finally {
    await context.close();
  }
});

test.skipIf(!hasBrowser)(
  'the same works over plain HTTP, and the front page links to the docs and the API document',
  async () => {
    const sandbox = await createSandbox();
    const { context } = await openContext();
    try {
      const page = await context.newPage();
      const origin = server.plain['E2B_API_URL'] ?? '';
      await goTo(page, origin);
      await page.getByRole('link', { name: 'operations' }).click();
      await page.waitForURL(`${origin}/docs/operations`);
      await goTo(page, origin);
      await page.getByRole('link', { name: '/openapi.json' }).click();
      await page.waitForURL(`${origin}/openapi.json`);
      await goTo(page, `${origin}/dashboard/inspect/sandbox/${sandbox.sandboxId}`);
      await page.getByLabel('API key').fill(server.plain['E2B_API_KEY'] ?? '');
      await page.getByRole('button', { name: 'Show' }).click();
      await page.getByRole('heading', { name: `Sandbox ${sandbox.sandboxId}` }).waitFor();
    } finally {
      await context.close();
    }
  },
);
