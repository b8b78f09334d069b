import { readFile } from 'node:fs/promises';

/** Lines of CRIU's log that are kept for ours. */
const linesMax = 12;

/** What stood in a checkpoint's way, by a word of CRIU's errors: these sentences are safe for a caller, its own are not. */
const obstacles: readonly (readonly [RegExp, string])[] = [
  [/No space left on device|Disk quota exceeded/, 'there is no space left on the disk of the host'],
  [/ghost file.*(too big|increase limit|of \d+ size)/i, 'a program has a deleted file of more than 256 MiB open'],
  [/link[ -]?remap/i, 'a program has a file open whose name was deleted but which has other hard links'],
  [/io_uring/, 'a program uses io_uring'],
  [/inotify|fsnotify|fanotify|Can't dump that handle/i, 'a file watch (inotify or fanotify) cannot be saved'],
  [/unix: .*(external|not found)|Unix socket \d+/i, 'a Unix socket is connected to a program outside the sandbox'],
  [/socket|inet: |tcp: |netlink|packet/i, 'a program uses a socket of a kind that cannot be saved'],
  [
    /Can't dump file|unsupported fd|anon_inode|Can't lookup (mount|file)/i,
    'a program has a file open that cannot be saved',
  ],
  [/ctty inheritance/, 'a program has /dev/tty open, for example for a password prompt'],
  [/leader|session|tty/i, 'a program uses a terminal from outside the sandbox'],
  [/mount|mnt:/i, 'a mount cannot be saved'],
];

/** What CRIU said went wrong. */
export interface Complaint {
  /** Its last errors, raw: for the log only, they name paths of the sandbox. */
  readonly log: string;
  /** What stood in the way, in words of ours; undefined when it is not one of the known things. */
  readonly obstacle: string | undefined;
}

/** Reads CRIU's log. The first error is the cause; those after it are its consequences. */
export async function readComplaint(logFile: string): Promise<Complaint> {
  const lines = (await readFile(logFile, 'utf8').catch(() => '')).split('\n');
  const errors = lines.filter((line) => line.includes('Error (')).slice(0, linesMax);
  const obstacle = errors.map(findObstacle).find((found) => found !== undefined);
  return { log: errors.join('\n'), obstacle };
}

function findObstacle(line: string): string | undefined {
  return obstacles.find(([pattern]) => pattern.test(line))?.[1];
}
