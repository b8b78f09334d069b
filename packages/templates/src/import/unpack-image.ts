import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@soulbox/base';
import { explainFaults, runConfined } from './confined.ts';
import { parseImageConfig } from './image-config.ts';
import type { ImageConfig } from './image-config.ts';
import { explainerFor, runSkopeo } from './skopeo.ts';
import type { RegistryOptions } from './skopeo.ts';

/** Fetches an image onto the scratch disk and unpacks it to `<scratch>/bundle/rootfs`, with the image's owners. */
export async function unpackImage(
  reference: string,
  scratch: string,
  options: RegistryOptions & {
    what: string;
    timeoutMs: number;
    onProgress: (step: string) => void;
    logger: Logger;
  },
): Promise<{ rootfs: string; config: ImageConfig }> {
  const { logger, ...rest } = options;
  const layout = `${join(scratch, 'layout')}:image`;
  const temporary = join(scratch, 'tmp');
  await mkdir(temporary);
  options.onProgress('fetching the image');
  const copyFlags = ['--quiet', '--retry-times=2', ...(options.tlsVerify === false ? ['--src-tls-verify=false'] : [])];
  const fetch = async (): Promise<string> =>
    await runSkopeo(
      temporary,
      (auth) => ['copy', ...copyFlags, ...auth.flatMap((path) => ['--src-authfile', path]), reference, `oci:${layout}`],
      // Only an image on this host has files of its own, and the person who names it is root.
      { ...rest, writes: scratch, ...(reference.startsWith('docker://') ? { logger } : {}) },
    );
  await explainFaults(options.what, fetch, explainerFor(options));
  const inspect = ['inspect', '--config', `oci:${layout}`];
  const config = parseImageConfig(
    await runSkopeo(temporary, () => inspect, { timeoutMs: options.timeoutMs, writes: scratch, logger }),
    options.what,
  );
  options.onProgress('unpacking the image');
  await runConfined('umoci', ['unpack', '--image', layout, join(scratch, 'bundle')], { ...options, scratch });
  return { rootfs: join(scratch, 'bundle/rootfs'), config };
}
