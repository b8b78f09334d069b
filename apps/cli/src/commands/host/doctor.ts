import { styleText } from 'node:util';
import { defineCommand } from 'citty';
import { openTrialRuntime } from '@soulbox/box/trial-runtime';
import { checkTiers, chooseFix, protection, readSystemFamily, runChecks } from '@soulbox/host';
import type { Finding } from '@soulbox/host';
import { resolveFolders } from '../../config.ts';
import { exitCodes } from '../../program/exit-codes.ts';
import { dataDirArg, jsonArg } from '../../program/shared-args.ts';

export const doctor = defineCommand({
  meta: {
    name: 'doctor',
    description: 'Check this host and say what is and is not protected; exit code 1 on a failure',
  },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const folders = resolveFolders(args['data-dir']);
    await using runtime = await openTrialRuntime(folders.dataDirectory);
    const findings = [...(await runChecks(folders)), ...(await checkTiers(runtime))];
    const failed = findings.some((finding) => finding.status === 'fail');
    if (args.json === true) console.log(JSON.stringify({ ok: !failed, findings, protection }, undefined, 2));
    else await printFindings(findings);
    return failed ? exitCodes.failed : exitCodes.ok;
  },
});

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
