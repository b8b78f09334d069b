import { SoulBoxError } from '@soulbox/base';
import { explainFaults } from './confined.ts';
import { parseSource } from './parse-source.ts';
import { explainerFor, runSkopeo } from './skopeo.ts';
import type { RegistryOptions } from './skopeo.ts';

const digestForm = /^sha256:[0-9a-f]{64}$/;

/**
 * Asks a registry for the current digest of `docker://IMAGE`. `directory` is for temporary files. Throws `bad_request`
 * with the registry's message, and `limit_exceeded` if it does not answer in time.
 */
export async function findImageDigest(
  reference: string,
  directory: string,
  options: RegistryOptions & { readonly timeoutMs: number },
): Promise<string> {
  const source = parseSource(reference);
  if (source.kind !== 'image') throw new SoulBoxError('bad_request', `${reference} is not a valid image name.`);
  const flags = [
    '--no-tags',
    '--format',
    '{{.Digest}}',
    ...(options.tlsVerify === false ? ['--tls-verify=false'] : []),
  ];
  const work = async (): Promise<string> =>
    await runSkopeo(
      directory,
      (auth) => ['inspect', ...flags, ...auth.flatMap((path) => ['--authfile', path]), source.reference],
      options,
    );
  const output = await explainFaults(source.text, work, explainerFor(options));
  const digest = output.trim();
  if (!digestForm.test(digest)) throw new SoulBoxError('bad_request', `${source.text} does not have a valid digest.`);
  return digest;
}
