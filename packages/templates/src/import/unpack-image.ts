import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run, SoulBoxError } from '@soulbox/base';
import { runWithLines } from '../run-with-lines.ts';
import { explainFaults, runConfined } from './confined.ts';
import { parseImageConfig } from './image-config.ts';
import type { ImageConfig } from './image-config.ts';

export interface RegistryOptions {
  /** False accepts a registry without TLS or with a certificate nobody vouches for. Default true. */
  readonly tlsVerify?: boolean;
  /** containers-auth.json(5) file with the registry's credentials. Default: where skopeo looks by itself. */
  readonly authFile?: string;
}

const policyFile = '/etc/containers/policy.json';

/** Fetches an image into the scratch disk and unpacks it to `<scratch>/bundle/rootfs`, owners as in the image. */
export async function unpackImage(
  reference: string,
  scratch: string,
  options: RegistryOptions & { what: string; timeoutMs: number; onProgress: (step: string) => void },
): Promise<{ rootfs: string; config: ImageConfig }> {
  const layout = `${join(scratch, 'layout')}:image`;
  const temporary = join(scratch, 'tmp');
  await mkdir(temporary);
  options.onProgress('fetching the image');
  await explainFaults(options.what, async () => {
    await runWithLines(
      'skopeo',
      [...(await globalFlags(temporary)), 'copy', ...copyFlags(options), reference, `oci:${layout}`],
      {
        timeoutMs: options.timeoutMs,
        onLine: () => undefined,
      },
    );
  });
  const inspect = [...(await globalFlags(temporary)), 'inspect', '--config', `oci:${layout}`];
  const config = parseImageConfig(await run('skopeo', inspect), options.what);
  options.onProgress('unpacking the image');
  await runConfined('umoci', ['unpack', '--image', layout, join(scratch, 'bundle')], options);
  return { rootfs: join(scratch, 'bundle/rootfs'), config };
}

// Where the host says whose signatures it trusts, that holds. Most hosts have no such file, and skopeo then refuses all.
async function globalFlags(temporary: string): Promise<string[]> {
  const hasPolicy = await access(policyFile).then(
    () => true,
    () => false,
  );
  return ['--tmpdir', temporary, ...(hasPolicy ? [] : ['--insecure-policy'])];
}

function copyFlags({ tlsVerify, authFile }: RegistryOptions): string[] {
  if (authFile?.startsWith('-') === true) throw new SoulBoxError('bad_request', 'The auth file must be a path.');
  return [
    '--quiet',
    '--retry-times=2',
    ...(tlsVerify === false ? ['--src-tls-verify=false'] : []),
    ...(authFile === undefined ? [] : ['--src-authfile', authFile]),
  ];
}
