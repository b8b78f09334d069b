import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { envdPort } from '@soulbox/contract';

/** Paths, and the settings that differ between a sandbox and a test. */
export interface Config {
  /** TCP port on every address. Clients expect 49999. */
  readonly port: number;
  /** The envd whose GET /envs returns the sandbox's global variables. */
  readonly envdUrl: string;
  /** Folder with the files that are not TypeScript: python/ and java/. */
  readonly assets: string;
  /** Working directory of the default contexts. */
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
  /** Environment of kernels. A context or a client can add variables. */
  readonly env: NodeJS.ProcessEnv;
  /** True when envd's preloads are in this sandbox (docs/fork.md). */
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
  // start.sh sets it for this process only.
  const { NODE_OPTIONS: _, ...env } = process.env;
  // In a bundle, all files are in the program's folder.
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
