import { readFile } from 'node:fs/promises';

export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** The user that runs a function's code. */
const userName = 'user';

/** The unprivileged user of the template. Without it nothing is started: the code never runs as root. */
export async function findAccount(): Promise<Account> {
  for (const line of (await readFile('/etc/passwd', 'utf8')).split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name === userName) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(`The template has no user "${userName}".`);
}
