/** An entry of package-lock.json, as far as it is checked. */
interface LockedPackage {
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

export interface PackageLock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/**
 * Packages that have a program which runs when they are installed. One more is a decision: read what it does first. Those of
 * `cpu-features` and `ssh2` compile optional native code; `allowScripts` in package.json keeps them from running.
 * That of protobufjs, which only tests use (by @grpc/grpc-js), compares version numbers and prints a warning.
 */
const withInstallScript = new Set([
  '@bufbuild/buf',
  'bun',
  'cpu-features',
  'esbuild',
  'koffi',
  'node',
  'protobufjs',
  'ssh2',
]);

/**
 * What is wrong with a lock file: a package without a SHA-512 digest, from another place than a registry over https, from
 * more than one registry, or with a new install script. An empty `resolved` means the registry of whoever installs.
 */
export function findLockFaults({ packages }: PackageLock): string[] {
  const origins = new Set<string>();
  const faults: string[] = [];
  for (const [path, { resolved, integrity, link, hasInstallScript }] of Object.entries(packages)) {
    if (link === true || !path.includes('node_modules/')) continue;
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (!/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? '')) faults.push(`${path}: it has no SHA-512 digest`);
    if (hasInstallScript === true && !withInstallScript.has(name))
      faults.push(`${path}: it runs a program when it is installed. Read it, then add it to scripts/lock-faults.ts`);
    if (resolved === undefined) continue;
    const url = URL.parse(resolved);
    if (url?.protocol === 'https:') origins.add(url.host);
    else faults.push(`${path}: it comes from ${resolved}, not from a registry over https`);
  }
  if (origins.size > 1) faults.push(`packages come from ${origins.size} registries: ${[...origins].join(', ')}`);
  return faults;
}
