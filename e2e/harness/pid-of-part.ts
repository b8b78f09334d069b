import { readdir, readFile } from 'node:fs/promises';
import type { ServerProcess } from '@soulbox/testing';

export type Part = 'control' | 'egress' | 'gateway' | 'objects' | 'runner' | 'ssh';

/** The pid of a process of the server, found by the file of its program. Undefined: it does not run now. */
export async function pidOfPart(server: ServerProcess, part: Part): Promise<number | undefined> {
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [command, status] = await Promise.all(
      ['cmdline', 'status'].map(async (name) => await readFile(`/proc/${pid}/${name}`, 'utf8').catch(() => '')),
    );
    const isChild = new RegExp(`^PPid:\\t${server.pid}$`, 'm').test(status ?? '');
    if (isChild && (command ?? '').includes(`/apps/${part}/src/`)) return Number(pid);
  }
  return undefined;
}
