import { SoulBoxError } from '@soulbox/base';
import type { FunctionInfo, FunctionService } from '@soulbox/contract/function-service';
import type { FunctionRecord } from '@soulbox/storage';
import type { FunctionsContext } from './context.ts';
import { createChanges } from './functions/changes.ts';
import { getOwn } from './definitions/find.ts';
import { invoke } from './functions/invoke.ts';
import { infoOf } from './definitions/to-info.ts';
import type { ServingSandboxes } from './sandboxes/serving.ts';

/** The public interface of this room for the control plane. */
export function createFunctionService(context: FunctionsContext, serving: ServingSandboxes): FunctionService {
  const { records, blobs, logBook } = context;
  const changes = createChanges(context, serving);
  const toInfo = async (record: Promise<FunctionRecord>): Promise<FunctionInfo> => await infoOf(context, await record);
  return {
    create: (...request) => toInfo(changes.create(...request)),
    deploy: (...request) => toInfo(changes.deploy(...request)),
    rollback: (...request) => toInfo(changes.rollback(...request)),
    setSecrets: (...request) => toInfo(changes.setSecrets(...request)),
    removeSecret: (...request) => toInfo(changes.removeSecret(...request)),
    remove: (...request) => changes.remove(...request),
    list: async (teamId) =>
      await Promise.all((await records.functions.list(teamId)).map(async (record) => await infoOf(context, record))),
    get: (teamId, name) => toInfo(getOwn(context, teamId, name)),
    async listVersions(teamId, name) {
      const { id, activeVersion } = await getOwn(context, teamId, name);
      const versions = await records.functions.listVersions(id);
      return versions.map(({ functionId: _, ...version }) => ({
        ...version,
        active: version.number === activeVersion,
      }));
    },
    invoke: (teamId, name, call) => invoke(context, serving, teamId, name, call),
    async readLog(teamId, name, after, limit) {
      return logBook.read((await getOwn(context, teamId, name)).id, after, limit);
    },
    listNamespaces: (teamId) => records.kv.listNamespaces(teamId),
    async removeNamespace(teamId, name) {
      const dropped = await records.kv.removeNamespace(teamId, name);
      if (dropped === undefined)
        throw new SoulBoxError('namespace_not_found', `Key-value namespace "${name}" was not found.`);
      for (const blobKey of dropped) await blobs.delete(blobKey);
    },
  };
}
