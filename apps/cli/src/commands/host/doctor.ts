import { styleText } from 'node:util';
import { defineCommand } from 'citty';
import { isDiskFull } from '@soulbox/base';
import { loadBoxConfig } from '@soulbox/box/config';
import { warnOf, warnOfServer } from '@soulbox/box/exposure';
import { findServer } from '@soulbox/box/server-file';
import { openTrialBundle } from '@soulbox/box/trial-bundle';
import { findUnmanaged } from '@soulbox/box/unmanaged';
import { checkTiers, chooseFix, protection, readSystemFamily, runChecks, sameFix } from '@soulbox/host';
import type { Finding } from '@soulbox/host';
import { environment, resolveFolders } from '../../config.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { describeUnmanaged, unmanagedFix } from '../../server/unmanaged.ts';

export const doctor = defineCommand({
  meta: {
    name: 'doctor',
    description: 'Check this host and print what is and is not protected; exit code 1 if a check fails',
    examples: ['sudo soulbox doctor'],
  },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const folders = resolveFolders(args['data-dir']);
    const findings = [
      ...(await runChecks(folders)),
      ...(await checkExposure(folders.dataDirectory)),
      ...(await checkParts(folders.dataDirectory)),
      ...(await checkUnmanaged(folders.dataDirectory)),
      ...(await tryTiers(folders.dataDirectory)),
    ];
    const failed = findings.some((finding) => finding.status === 'fail');
    if (args.json === true) console.log(JSON.stringify({ ok: !failed, findings, protection }, undefined, 2));
    else await printFindings(findings);
    return failed ? exitCodes.failed : exitCodes.ok;
  },
});

/** Testing a sandbox needs some disk space. Without it, all other findings are still reported. */
async function tryTiers(dataDirectory: string): Promise<readonly Finding[]> {
  try {
    await using runtime = await openTrialBundle(dataDirectory);
    return await checkTiers(runtime);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    const detail = 'could not be checked: there is no space left on the disk';
    const fix = sameFix('free some space, then run "soulbox doctor" again');
    return [{ id: 'isolation', title: 'Isolation', status: 'warn', detail, fix }];
  }
}

/** Checks the running server, or the server that these settings would start. */
async function checkExposure(dataDirectory: string): Promise<readonly Finding[]> {
  const server = await findServer(dataDirectory).catch(() => undefined);
  const base = { id: 'exposure', title: 'Access to the server', protects: 'keys and data of clients in transit' };
  try {
    const warnings =
      server?.state === 'ready'
        ? await warnOfServer(server)
        : await warnOf(loadBoxConfig(environment, { dataDirectory }));
    if (warnings.length > 0)
      return warnings.map((detail) => ({ ...base, status: 'warn', detail, fix: sameFix('see docs/operations.md') }));
    return [{ ...base, status: 'ok', detail: 'no plain HTTP beyond this machine, no certificate that expires soon' }];
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    const fix = sameFix('correct the environment variables that the message names');
    return [{ ...base, title: 'Settings', status: 'warn', detail, fix }];
  }
}

/** Parts without which the running server goes on. */
async function checkParts(dataDirectory: string): Promise<readonly Finding[]> {
  const server = await findServer(dataDirectory).catch(() => undefined);
  return (server?.givenUp ?? []).map((part) => ({
    id: `part_${part}`,
    title: `The process "${part}"`,
    status: 'warn',
    detail: 'ended too often, and is off until the server restarts',
    fix: sameFix(`read the log of the server, then restart it`),
  }));
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
