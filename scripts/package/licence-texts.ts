import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BundledPackage } from './third-party.ts';

/** The licences of packages that have no folder of their own in `node_modules` of the result. */
export const licenceTexts = 'THIRD-PARTY-LICENSES.txt';

export const isLicenceFile = (name: string): boolean => /licen[cs]e|copying|notice/i.test(name);

export function formatLicenceTexts(bundled: readonly BundledPackage[]): string {
  const head =
    'These packages are compiled into files of SoulBox.\nThe packages in node_modules have their licences beside them.\n';
  return [head, ...bundled.map(formatLicence)].join(`\n${'='.repeat(80)}\n\n`);
}

function formatLicence(each: BundledPackage): string {
  const title = `${each.name} ${each.version}, ${each.license ?? 'no licence named'}\nIn ${each.within.join(', ')}\n`;
  const texts = readdirSync(each.folder)
    .filter(isLicenceFile)
    .sort()
    .map((name) => readFileSync(join(each.folder, name), 'utf8').trim());
  return `${title}\n${texts.length === 0 ? describeMissing(each) : texts.join('\n\n')}\n`;
}

function describeMissing({ license, repository }: BundledPackage): string {
  const origin = `The package has no file with its licence. Its source: ${repository ?? 'not named'}`;
  return license?.includes('Apache-2.0') ? `${origin}\nLICENSE beside this file is the text of Apache-2.0.` : origin;
}
