import { SoulBoxError } from '@soulbox/base';
import type { FunctionInfo, FunctionService } from '@soulbox/contract/function-service';
import type { FunctionRecord } from '@soulbox/storage';
import type { FunctionsContext } from './context.ts';
import { createChanges } from './functions/change.ts';
import { getOwn } from './functions/find.ts';
import { invoke } from './functions/invoke.ts';
import { infoOf } from './functions/to-info.ts';
import type { LiveFunctions } from './sandboxes/live.ts';

/** The whole surface of this room for the control plane. */
export function createFunctionService(context: FunctionsContext, live: LiveFunctions): FunctionService {
  const { records, blobs, logBook } = context;
  const changes = createChanges(context, live);
  const shown = async (record: Promise<FunctionRecord>): Promise<FunctionInfo> => infoOf(context, await record);
  return {
    create: (...request) => shown(changes.create(...request)),
    deploy: (...request) => shown(changes.deploy(...request)),
    rollback: (...request) => shown(changes.rollback(...request)),
    setSecrets: (...request) => shown(changes.setSecrets(...request)),
    removeSecret: (...request) => shown(changes.removeSecret(...request)),
    remove: (...request) => changes.remove(...request),
    list: async (teamId) => (await records.functions.list(teamId)).map((record) => infoOf(context, record)),
    get: (teamId, name) => shown(getOwn(context, teamId, name)),
    async listVersions(teamId, name) {
      const { id, activeVersion } = await getOwn(context, teamId, name);
      const versions = await records.functions.listVersions(id);
      return versions.map(({ functionId: _, ...version }) => ({
        ...version,
        active: version.number === activeVersion,
      }));
    },
    invoke: (teamId, name, call) => invoke(context, live, teamId, name, call),
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
