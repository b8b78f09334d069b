interface EnvdRoute {
  readonly path: string;
  /** `host`: only the runner may call this path and all paths below it. The gateway answers 404 to everyone else. */
  readonly access: 'public' | 'host';
}

/**
 * envd's HTTP endpoints beside its RPC services (spec/SOURCES.md). The gateway's deny list is derived from this table.
 */
export const envdRoutes = [
  { path: '/health', access: 'public' },
  { path: '/metrics', access: 'public' },
  { path: '/envs', access: 'public' },
  { path: '/files', access: 'public' },
  { path: '/files/compose', access: 'public' },
  { path: '/init', access: 'host' },
  { path: '/freeze', access: 'host' },
  { path: '/unfreeze', access: 'host' },
  { path: '/collapse', access: 'host' },
  { path: '/fsfreeze', access: 'host' },
  { path: '/fsthaw', access: 'host' },
  { path: '/resumed', access: 'host' },
  { path: '/rehearse-resumed', access: 'host' },
  { path: '/soulbox', access: 'host' },
] as const satisfies readonly EnvdRoute[];

/** The paths of envd that only the host may call. */
export const hostOnlyPaths: readonly string[] = envdRoutes
  .filter((route) => route.access === 'host')
  .map((route) => route.path);
