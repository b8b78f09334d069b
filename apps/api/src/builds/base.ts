import { SoulBoxError } from '@soulbox/base';
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RegistryCredentialsSchema, RunBuildRequestSchema } from '@soulbox/contract/runner';
import type { BuildRecord, TeamRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { findSnapshot } from '../lookup/snapshot.ts';
import { getOrMakeTemplate } from '../lookup/make-missing.ts';
import { getTaggedBuild } from '../lookup/build.ts';
import { runnerIdOf } from '../names/build-id.ts';
import type { BuildStart } from './start-schema.ts';

export interface BuildBase {
  readonly base: NonNullable<MessageInitShape<typeof RunBuildRequestSchema>['base']>;
  /** The build whose commands are inherited. Undefined when the base is not a build of ours. */
  readonly build: BuildRecord | undefined;
}

/** Finds what a build is based on. Throws `bad_request` and `template_not_found`. */
export async function findBase(
  context: ApiContext,
  team: TeamRecord,
  body: Omit<BuildStart, 'isolation'>,
): Promise<BuildBase> {
  const { fromImage, fromTemplate, fromImageRegistry } = body;
  if (fromTemplate !== undefined) return await baseOfTemplate(context, team, fromTemplate);
  const credentials = fromImageRegistry === undefined ? {} : { credentials: credentialsToRunner(fromImageRegistry) };
  return { base: { case: 'image', value: { reference: fromImage ?? '', ...credentials } }, build: undefined };
}

async function baseOfTemplate(context: ApiContext, team: TeamRecord, text: string): Promise<BuildBase> {
  if ((await findSnapshot(context, team, text)) !== undefined)
    throw new SoulBoxError(
      'bad_request',
      `fromTemplate: ${quoteForError(text)} is a snapshot. A build must start from a template.`,
    );
  const found = await getOrMakeTemplate(context, team, text);
  if (found.kind === 'store')
    return { base: { case: 'baseTemplateId', value: found.template.templateId }, build: undefined };
  const build = await getTaggedBuild(context, found.template, found.tag, text);
  return { base: { case: 'baseBuildId', value: runnerIdOf(build.id) }, build };
}

function credentialsToRunner(
  registry: NonNullable<BuildStart['fromImageRegistry']>,
): MessageInitShape<typeof RegistryCredentialsSchema> {
  switch (registry.type) {
    case 'registry':
      return { kind: { case: 'basic', value: { username: registry.username, password: registry.password } } };
    case 'aws': {
      const { awsAccessKeyId: accessKeyId, awsSecretAccessKey: secretAccessKey, awsRegion: region } = registry;
      return { kind: { case: 'aws', value: { accessKeyId, secretAccessKey, region } } };
    }
    case 'gcp':
      return { kind: { case: 'gcp', value: { serviceAccountJson: registry.serviceAccountJson } } };
  }
}
