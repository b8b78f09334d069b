import { readFile } from 'node:fs/promises';

/** Number of lines of CRIU's log that are copied into our log. */
const linesMax = 12;

/**
 * Reasons for a failed checkpoint, by a phrase in CRIU's errors. These sentences are safe to show to a caller; CRIU's
 * own are not.
 */
const obstacles: readonly (readonly [RegExp, string])[] = [
  [/No space left on device|Disk quota exceeded/, 'there is no space left on the disk of the host'],
  [/ghost file.*(too big|increase limit|of \d+ size)/i, 'a program has a deleted file of more than 256 MiB open'],
  // The second: docs/decisions/068.
  [
    /link[ -]?remap/i,
    'a program has a file open whose name was deleted but which has other hard links, or that was created in a shared volume while another program looked for it',
  ],
  [/io_uring/, 'a program uses io_uring'],
  [/inotify|fsnotify|fanotify|Can't dump that handle/i, 'a file watch (inotify or fanotify) cannot be saved'],
  [/unix: .*in-flight/, 'a program waits on a Unix socket for a server that does not accept its connection'],
  [/unix: .*(external|not found)|Unix socket \d+/i, 'a Unix socket is connected to a program outside the sandbox'],
  [/socket|inet: |tcp: |netlink|packet/i, 'a program uses a socket of a kind that cannot be saved'],
  [
    /Can't dump file|unsupported fd|anon_inode|Can't lookup (mount|file)/i,
    'a program has a file open that cannot be saved',
  ],
  [/ctty inheritance/, 'a program has /dev/tty open, for example for a password prompt'],
  [/Zombies with threads/, 'the main thread of a program has ended, and others go on'],
  [/leader|session|tty/i, 'a program uses a terminal from outside the sandbox'],
  [/mount|mnt:/i, 'a mount cannot be saved'],
];

/** What CRIU reported as the fault. */
export interface Complaint {
  /** CRIU's last errors, unchanged: for the log only, because they contain paths of the sandbox. */
  readonly log: string;
  /** The reason in our own words; undefined if it is not a known one. */
  readonly obstacle: string | undefined;
}

/** Reads CRIU's log. The first error is the cause; later ones are its consequences. */
export async function readComplaint(logFile: string): Promise<Complaint> {
  const lines = (await readFile(logFile, 'utf8').catch(() => '')).split('\n');
  const errors = lines.filter((line) => line.includes('Error (')).slice(0, linesMax);
  const obstacle = errors.map(findObstacle).find((found) => found !== undefined);
  return { log: errors.join('\n'), obstacle };
}

function findObstacle(line: string): string | undefined {
  return obstacles.find(([pattern]) => pattern.test(line))?.[1];
}
