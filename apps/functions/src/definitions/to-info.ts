import type { FunctionInfo } from '@soulbox/contract/function-service';
import type { FunctionRecord } from '@soulbox/storage';
import type { FunctionsContext } from '../context.ts';

export function infoOf({ router }: FunctionsContext, record: FunctionRecord): FunctionInfo {
  const route = record.sandboxId === undefined ? undefined : router.find(record.sandboxId);
  const { sealedSecrets, id: _id, teamId: _team, ...listed } = record;
  return {
    ...listed,
    sandboxId: route?.sandboxId,
    secretNames: Object.keys(sealedSecrets).sort(),
    state: route === undefined ? 'none' : route.state === 'running' ? 'running' : 'asleep',
  };
}
