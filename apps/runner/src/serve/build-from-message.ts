import { SoulBoxError } from '@soulbox/base';
import type { RegistryCredentials as CredentialsMessage, RunBuildRequest } from '@soulbox/contract/runner';
import type { BuildBase, BuildSpec, RegistryCredentials } from '../builds/build-spec.ts';

/** Parses a request of the control plane. Throws `bad_request`. */
export function buildFromMessage(request: RunBuildRequest): BuildSpec {
  const { buildId, teamId, templateId, force, startCommand, readyCommand, isolation } = request;
  const { cpuCount, memoryMb, minFreeDiskMb } = request;
  if (cpuCount === 0 || memoryMb === 0)
    throw new SoulBoxError('bad_request', 'A build requires a CPU count and a memory size.');
  const steps = request.steps.map(({ type, args, filesHash, force: forced, ...files }) => ({
    ...{ type, args, filesHash, force: forced },
    filesBlobKey: files.filesBlobKey,
    filesKey: files.filesKey,
    filesMayBeReadable: files.filesMayBeReadable,
  }));
  const own = { buildId, teamId, templateId, force, startCommand, readyCommand, isolation };
  return { ...own, cpuCount, memoryMb, minFreeDiskMb, steps, base: baseFromMessage(request.base) };
}

function baseFromMessage(base: RunBuildRequest['base']): BuildBase {
  switch (base.case) {
    case 'baseTemplateId':
      return { kind: 'template', templateId: base.value };
    case 'baseBuildId':
      return { kind: 'build', buildId: base.value };
    case 'image': {
      const { reference, credentials } = base.value;
      const own = credentialsFromMessage(credentials);
      return { kind: 'image', reference, ...(own === undefined ? {} : { credentials: own }) };
    }
    case undefined:
      throw new SoulBoxError('bad_request', 'A build requires a template, a build or an image to start from.');
  }
}

function credentialsFromMessage(credentials: CredentialsMessage | undefined): RegistryCredentials | undefined {
  const { case: kind, value } = credentials?.kind ?? { case: undefined };
  if (kind === 'basic') return { kind, username: value.username, password: value.password };
  if (kind === 'gcp') return { kind, serviceAccountJson: value.serviceAccountJson };
  if (kind !== 'aws') return undefined;
  const { accessKeyId, secretAccessKey, region } = value;
  return { kind, accessKeyId, secretAccessKey, region };
}
