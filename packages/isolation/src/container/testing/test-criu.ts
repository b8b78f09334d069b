import type { Criu } from '../criu.ts';

/** The CRIU that set-up installs. */
const libraryDirectory = '/usr/local/lib/soulbox/criu';
export const criu: Criu = { program: `${libraryDirectory}/criu`, libraryDirectory };
