import { styleText } from 'node:util';
import { defineCommand } from 'citty';
import { isDiskFull } from '@soulbox/base';
import { openTrialRuntime } from '@soulbox/box/trial-runtime';
import { findUnmanaged } from '@soulbox/box/unmanaged';
import { checkTiers, chooseFix, protection, readSystemFamily, runChecks, sameFix } from '@soulbox/host';
import type { Finding } from '@soulbox/host';
import { resolveFolders } from '../../config.ts';
import { exitCodes } from '../../program/exit-codes.ts';
import { dataDirArg, jsonArg } from '../../program/shared-args.ts';
import { describeUnmanaged, unmanagedFix } from '../../server/unmanaged.ts';

export const doctor = defineCommand({
  meta: {
    name: 'doctor',
    description: 'Check this host and say what is and is not protected; exit code 1 on a failure',
  },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const folders = resolveFolders(args['data-dir']);
    const findings = [
      ...(await runChecks(folders)),
      ...(await checkUnmanaged(folders.dataDirectory)),
      ...(await tryTiers(folders.dataDirectory)),
    ];
    const failed = findings.some((finding) => finding.status === 'fail');
    if (args.json === true) console.log(JSON.stringify({ ok: !failed, findings, protection }, undefined, 2));
    else await printFindings(findings);
    return failed ? exitCodes.failed : exitCodes.ok;
  },
});

/** The trial of a sandbox needs some room; where there is none, all else is still told. */
async function tryTiers(dataDirectory: string): Promise<readonly Finding[]> {
  try {
    await using runtime = await openTrialRuntime(dataDirectory);
    return await checkTiers(runtime);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    const detail = 'could not be tried: there is no room left on the disk';
    const fix = sameFix('free some space and run "soulbox doctor" again');
    return [{ id: 'isolation', title: 'Isolation', status: 'warn', detail, fix }];
  }
}

async function checkUnmanaged(dataDirectory: string): Promise<readonly Finding[]> {
  const unmanaged = await findUnmanaged(dataDirectory);
  if (unmanaged.length === 0) return [];
  const detail = describeUnmanaged(unmanaged);
  return [{ id: 'unmanaged', title: 'Sandboxes without a server', status: 'warn', detail, fix: sameFix(unmanagedFix) }];
}

const marks = { ok: ['green', 'ok  '], warn: ['yellow', 'warn'], fail: ['red', 'FAIL'] } as const;

async function printFindings(findings: readonly Finding[]): Promise<void> {
  const family = await readSystemFamily();
  for (const finding of findings) {
    const [color, word] = marks[finding.status];
    console.log(`${styleText(color, word)}  ${finding.title}: ${finding.detail}`);
    if (finding.status === 'ok') continue;
    if (finding.protects !== undefined) console.log(`        needed for: ${finding.protects}`);
    console.log(`        fix: ${chooseFix(finding.fix, family)}`);
  }
  console.log(`\n${styleText('bold', 'Protected')}`);
  for (const line of protection.protected) console.log(`  + ${line}`);
  console.log(`\n${styleText('bold', 'Not protected')}`);
  for (const line of protection.notProtected) console.log(`  - ${line}`);
  const count = (status: Finding['status']): number => findings.filter((finding) => finding.status === status).length;
  console.log(`\n${findings.length} checks: ${count('fail')} failed, ${count('warn')} warnings.`);
}
