import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import type { Kernel, Variables } from '../kernel.ts';
import type { ProcessGroup } from '../process/group.ts';
import { connectJupyter, ports } from './connect.ts';

export interface JupyterLanguage {
  /** Starts the kernel's process, which reads the connection file. */
  readonly start: (connectionFile: string) => Promise<ProcessGroup>;
  /** A statement that sets or removes these variables. */
  readonly variables: (variables: Variables) => string;
}

/** A kernel that speaks the Jupyter protocol over sockets in a folder of its own. */
export async function startJupyterKernel({ start, variables }: JupyterLanguage): Promise<Kernel> {
  const folder = await mkdtemp(join(tmpdir(), 'kernel-'));
  const connectionFile = join(folder, 'connection.json');
  const prefix = join(folder, 'socket');
  let group: ProcessGroup | undefined;
  try {
    await writeFile(connectionFile, JSON.stringify(connectionFacts(prefix)), { mode: 0o600 });
    group = await start(connectionFile);
    const { ended, signal } = group;
    const connection = await connectJupyter(prefix, {
      ended,
      hold: () => signal('SIGSTOP'),
      release: () => signal('SIGCONT'),
      kill: () => signal('SIGKILL'),
    });
    let isBusy = false;
    return {
      ended,
      execute: async (code, emit) => {
        isBusy = true;
        try {
          await connection.execute(code, emit, { silent: false });
        } finally {
          isBusy = false;
        }
      },
      setVariables: async (changes) => await connection.execute(variables(changes), () => undefined, { silent: true }),
      interrupt: () => {
        if (!isBusy) return;
        // A suspended process handles its signal only after it continues.
        signal('SIGINT');
        signal('SIGCONT');
      },
      [Symbol.asyncDispose]: async () => {
        connection.close();
        signal('SIGKILL');
        await ended;
        await removeTree(folder);
      },
    };
  } catch (error) {
    group?.signal('SIGKILL');
    await removeTree(folder);
    throw error;
  }
}

function connectionFacts(prefix: string): object {
  return {
    transport: 'ipc',
    ip: prefix,
    shell_port: ports.shell,
    iopub_port: ports.iopub,
    stdin_port: ports.stdin,
    control_port: ports.control,
    hb_port: ports.heartbeat,
    // Unsigned: whoever can open the sockets can read this file too.
    key: '',
    signature_scheme: 'hmac-sha256',
  };
}
