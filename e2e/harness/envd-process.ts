import { readdirSync, readFileSync } from 'node:fs';
import { run } from '@soulbox/base';
import { envdPort } from '@soulbox/contract';
import { server } from './server.ts';

/**
 * The pid on this host of a sandbox's envd: the first process of its namespace, found by its control group. Throws if
 * the sandbox has its own kernel, because the host sees no such process then.
 */
export function findEnvd(sandboxId: string): number {
  const group = `/soulbox-${String(server.instance)}/${sandboxId}`;
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found = pids.find(
    (pid) => read(`/proc/${pid}/cgroup`).includes(group) && /^NSpid:\t\d+\t1$/m.test(read(`/proc/${pid}/status`)),
  );
  if (found === undefined) throw new Error(`no envd of ${sandboxId} is found`);
  return Number(found);
}

/** Drops all packets to the envd of a sandbox until the sandbox is paused or ends. Programs inside continue. */
export async function silenceEnvd(sandboxId: string): Promise<void> {
  const rule = `table inet silence { chain in { type filter hook input priority 0; tcp dport ${String(envdPort)} drop; }; }`;
  const namespace = `--net=/proc/${String(findEnvd(sandboxId))}/ns/net`;
  await run('nsenter', [namespace, 'nft', '-f', '-'], { input: `${rule}\n` });
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
