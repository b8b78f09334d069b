import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isThere } from '@soulbox/testing';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { goTo } from '../harness/go-to.ts';
import { server } from '../harness/server.ts';

// A page of a stranger, in a browser of the host on which the server runs with its default settings.
const program = '/usr/bin/chromium';
const hasBrowser = isThere('chromium, for pages of strangers', existsSync(program));

let browser: Browser;
const stranger = createServer((_request, response) => {
  response.setHeader('content-type', 'text/html').end('<title>stranger</title>');
});

beforeAll(async () => {
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  if (!hasBrowser) return;
  browser = await chromium.launch({
    executablePath: program,
    args: ['--no-sandbox', '--host-resolver-rules=MAP evil.example 127.0.0.1'],
  });
});
afterAll(async () => {
  if (hasBrowser) await browser.close();
  stranger.close();
});

test.skipIf(!hasBrowser)('a page whose DNS name points to this host cannot read the server', async () => {
  const page = await browser.newPage();
  // The page has the origin of the server now: without the check it could read every answer.
  const answer = await goTo(page, `http://evil.example:${server.port}/health`);
  expect(answer?.status()).toBe(421);
  await page.close();
});

test.skipIf(!hasBrowser)('a page of another origin can neither call the server nor read its answers', async () => {
  const page = await browser.newPage();
  const statuses: number[] = [];
  page.on('response', (response) => {
    if (new URL(response.url()).port === String(server.port)) statuses.push(response.status());
  });
  await goTo(page, `http://evil.example:${String((stranger.address() as AddressInfo).port)}/`);
  const url = `http://127.0.0.1:${server.port}/functions-http/any`;
  // A form or an image could send the first request: no preflight protects it.
  const read = await page.evaluate(`Promise.all([
    fetch('${url}', { method: 'POST', mode: 'no-cors', body: 'x' }).then(({ type }) => type),
    fetch('${url}').then((response) => response.text(), () => 'unreadable'),
  ])`);
  expect(read).toEqual(['opaque', 'unreadable']);
  expect(new Set(statuses)).toEqual(new Set([403]));
  await page.close();
});
