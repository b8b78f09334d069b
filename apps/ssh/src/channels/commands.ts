import type { InsideCommand } from '@soulbox/contract';

export type Command = InsideCommand;

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
