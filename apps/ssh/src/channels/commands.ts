/** What runs in a sandbox, as arguments: nothing that a client sends becomes a part of our own text. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
}

const bash = '/bin/bash';

/** The shell of a login. Sandboxes have bash, except for those from small images. */
export const loginShell: Command = {
  command: '/bin/sh',
  args: ['-c', `if [ -x ${bash} ]; then exec ${bash} -l; fi; exec /bin/sh -l`],
};

/** The same for one command. It reads no profile, whose output would be taken for that of the command. */
export function commandLine(text: string): Command {
  return {
    command: '/bin/sh',
    args: ['-c', `if [ -x ${bash} ]; then exec ${bash} -c "$1"; fi; exec /bin/sh -c "$1"`, 'sh', text],
  };
}

/** Sends a signal to the group of a process, or to the process itself if it leads none. */
export function signalCommand(name: string, pid: number): Command {
  const script = 'kill -s "$1" -- "-$2" 2>/dev/null || kill -s "$1" -- "$2"';
  return { command: '/bin/sh', args: ['-c', script, 'sh', name, String(pid)] };
}

/**
 * Our SFTP server, as an argument of the Bun that is in envd. So sandboxes need no OpenSSH, also those of earlier versions,
 * and nothing is written into them.
 */
export function sftpCommand(program: string): Command {
  const script = `exec env BUN_BE_BUN=1 ${envdBundle}/ld-* --library-path ${envdBundle} ${envdBundle}/envd -e "$1"`;
  return { command: '/bin/sh', args: ['-c', script, 'sh', program] };
}

/** Where sandboxes have envd and its libraries. */
const envdBundle = '/.soulbox';
