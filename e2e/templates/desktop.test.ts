import { existsSync } from 'node:fs';
import { Sandbox as Desktop } from '@e2b/desktop';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { goTo } from '../harness/go-to.ts';
import { server } from '../harness/server.ts';
import { hasTemplate } from '../harness/template.ts';
import { until } from '../harness/until.ts';

const browser = '/usr/bin/chromium';
const isMade = await hasTemplate('desktop');

// One screen for all tests, because the client starts X and Xfce in it, which takes seconds.
describe.skipIf(!isMade)('a desktop, driven by @e2b/desktop', () => {
  let desktop: Desktop;
  beforeAll(async () => {
    // The stream's URL is made from the domain; everything else goes over plain HTTP.
    desktop = await Desktop.create('desktop', {
      domain: server.tls['E2B_DOMAIN'] ?? '',
      resolution: [1024, 720],
      timeoutMs: 300_000,
    });
  });
  afterAll(async () => {
    await desktop.kill();
  });

  test('a screenshot is a picture of the screen', async () => {
    const picture = Buffer.from(await desktop.screenshot());
    expect(picture.subarray(1, 4).toString('latin1')).toBe('PNG');
    // IHDR: width and height.
    expect([picture.readUInt32BE(16), picture.readUInt32BE(20)]).toEqual([1024, 720]);
    expect(await desktop.getScreenSize()).toEqual({ width: 1024, height: 720 });
  });

  test('the mouse moves and clicks with every button', async () => {
    await desktop.moveMouse(300, 200);
    expect(await desktop.getCursorPosition()).toEqual({ x: 300, y: 200 });
    await desktop.leftClick(310, 210);
    await desktop.doubleClick();
    await desktop.middleClick();
    await desktop.drag([320, 220], [400, 260]);
    await desktop.scroll('down', 2);
    expect(await desktop.getCursorPosition()).toEqual({ x: 400, y: 260 });
  });

  test('a text file opens in the default program, and typed text ends up in it', async () => {
    const path = '/home/user/note.txt';
    await desktop.files.write(path, 'first line\n');
    await desktop.open(path);
    const windows = async () => await desktop.getApplicationWindows('mousepad').catch(() => []);
    await until('a window', async () => (await windows()).length > 0, 20_000);
    // Keys go to the window with the focus. A window gets the focus a moment after it appears.
    await until('the focus', async () => {
      const title = await desktop
        .getCurrentWindowId()
        .then(async (id) => await desktop.getWindowTitle(id))
        .catch(() => '');
      return title.includes('note.txt');
    });
    await desktop.press(['ctrl', 'end']);
    await desktop.write('Grüße, world! $HOME "quoted"');
    await desktop.press(['ctrl', 's']);
    await until('the saved file', async () => (await desktop.files.read(path)).includes('quoted'));
    expect(await desktop.files.read(path)).toBe('first line\nGrüße, world! $HOME "quoted"');
  });

  test('a program is launched by its desktop file', async () => {
    await desktop.launch('xfce4-terminal');
    const windows = async () => await desktop.getApplicationWindows('xfce4-terminal').catch(() => []);
    await until('a window', async () => (await windows()).length > 0, 20_000);
  });

  test('the stream shows the screen in a browser', { timeout: 90_000 }, async ({ skip }) => {
    if (!existsSync(browser)) {
      console.log(`desktop.test.ts: skipped the stream, there is no ${browser}`);
      skip('no browser');
    }
    await desktop.stream.start({ requireAuth: true });
    const url = desktop.stream.getUrl({ authKey: desktop.stream.getAuthKey() });
    expect(new URL(url).host).toBe(`6080-${desktop.sandboxId}.${server.tls['E2B_DOMAIN'] ?? ''}`);
    const flags = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'];
    const chrome = await chromium.launch({ executablePath: browser, args: flags });
    try {
      const context = await chrome.newContext({ ignoreHTTPSErrors: true });
      const tab = await context.newPage();
      await goTo(tab, url);
      // noVNC draws into a canvas as large as the screen once the handshake, password included, is done. In text: it
      // runs there.
      const shows = `(() => {
        const canvas = document.querySelector('canvas');
        if (canvas?.width !== 1024 || canvas.height !== 720) return false;
        const pixels = canvas.getContext('2d').getImageData(0, 0, 1024, 720).data;
        const colors = new Set();
        for (let at = 0; at < pixels.length; at += 400) colors.add(pixels.slice(at, at + 3).join());
        return colors.size > 10;
      })()`;
      await tab.waitForFunction(shows, undefined, { timeout: 30_000 });
    } finally {
      await chrome.close();
      await desktop.stream.stop();
    }
  });
});
