import type { Page, Response } from 'playwright-core';

const tries = 5;

/** The second: the page about the first error opens while the next attempt begins. */
const networkChanged = /ERR_NETWORK_CHANGED|interrupted by another navigation to "chrome-error:/;

/**
 * Opens a page. Chromium gives it up when a network interface of the host comes or goes, and each sandbox has one: then
 * it is opened again.
 */
export async function goTo(page: Page, url: string): Promise<Response | null> {
  for (let left = tries - 1; ; left -= 1) {
    try {
      return await page.goto(url);
    } catch (error) {
      if (left === 0 || !networkChanged.test(String(error))) throw error;
    }
  }
}
