import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { envdPort } from '@soulbox/contract';

/** Where things are, and what differs between a sandbox and a test. */
export interface Config {
  /** TCP port on every address; 49999 is where clients look. */
  readonly port: number;
  /** Whose GET /envs has the sandbox's global variables. */
  readonly envdUrl: string;
  /** Folder with what is not TypeScript: python/ and java/. */
  readonly assets: string;
  /** Where default contexts run. */
  readonly home: string;
  readonly programs: {
    readonly node: string;
    /** The file that runs JavaScript. */
    readonly javascriptKernel: string;
    readonly python: string;
    readonly r: string;
    readonly java: string;
    readonly bash: string;
  };
  /** For kernels, beside what a context or a client adds. */
  readonly env: NodeJS.ProcessEnv;
  /** The preloads that envd brings stand in this sandbox (docs/fork.md). */
  readonly hasReseed: boolean;
}

const reseedFolder = '/.soulbox/reseed';

/** Reads `--port`, `--envd-url`, `--home` and the environment. */
export function readConfig(args = process.argv.slice(2), program = process.argv[1] ?? ''): Config {
  const { values } = parseArgs({
    args,
    options: {
      port: { type: 'string', default: '49999' },
      'envd-url': { type: 'string', default: `http://127.0.0.1:${envdPort}` },
      home: { type: 'string', default: '/home/user' },
    },
  });
  // Set for this process alone, by start.sh.
  const { NODE_OPTIONS: _, ...env } = process.env;
  // Bundled, everything lies beside the program.
  const isBundle = program.endsWith('.cjs');
  const here = dirname(program);
  return {
    port: Number(values.port),
    envdUrl: values['envd-url'],
    home: values.home,
    assets: isBundle ? here : join(here, '../assets'),
    programs: {
      node: process.execPath,
      javascriptKernel: join(here, isBundle ? 'javascript-kernel.cjs' : 'kernels/javascript/child/main.ts'),
      python: '/usr/bin/python3',
      r: '/usr/bin/R',
      java: existsSync('/usr/lib/jvm/java-21-openjdk-amd64/bin/java')
        ? '/usr/lib/jvm/java-21-openjdk-amd64/bin/java'
        : '/usr/bin/java',
      bash: '/bin/bash',
    },
    env,
    hasReseed: existsSync(reseedFolder),
  };
}
