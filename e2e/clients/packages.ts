/** A client package, or a package that is built on a client: its scenario, and the versions to run. */
export interface ClientPackage {
  readonly name: string;
  /** A file in `scenarios/`. */
  readonly scenario: string;
  /** Whether the scenario takes the path of a program, not a module. */
  readonly isProgram: boolean;
  /** Other packages that a program installs with it, with their version ranges. */
  readonly besides: Readonly<Record<string, string>>;
  /** Every stable version since 1.0.0, or only the newest version, whatever its number. */
  readonly versions: 'all' | 'newest';
  /** Versions that CI runs besides the newest. Empty: the package is run by `npm run test:clients` only. */
  readonly inCi: readonly string[];
}

/** Some of the versions at which something of the wire changed. */
const turningPoints = ['1.0.1', '2.0.1', '2.14.1', '2.38.3'];

const library = { isProgram: false, besides: {}, versions: 'all', inCi: [] } as const;
/** Packages of other publishers, which follow the clients. Their users have the newest version. */
const ontop = { ...library, versions: 'newest' } as const;

export const clientPackages: readonly ClientPackage[] = [
  { ...library, name: 'e2b', scenario: 'e2b.mjs', inCi: turningPoints },
  { ...library, name: '@e2b/code-interpreter', scenario: 'code-interpreter.mjs' },
  { ...library, name: '@e2b/desktop', scenario: 'desktop.mjs' },
  { ...library, name: '@e2b/cli', scenario: 'cli.mjs', isProgram: true },
  {
    ...ontop,
    name: '@openai/agents-extensions',
    scenario: 'agents-extensions.mjs',
    besides: { '@openai/agents': '*', e2b: '^2.14.1', zod: '^4.0.0' },
  },
  { ...ontop, name: '@mastra/e2b', scenario: 'mastra.mjs', besides: { '@mastra/core': '*' } },
  { ...ontop, name: '@computesdk/e2b', scenario: 'computesdk.mjs' },
  { ...ontop, name: '@evolvingmachines/e2b', scenario: 'evolve.mjs' },
  { ...ontop, name: '@llamaindex/tools', scenario: 'llamaindex.mjs' },
  { ...ontop, name: '@modelcontextprotocol/sdk', scenario: 'mcp.mjs', besides: { e2b: '*' } },
];
