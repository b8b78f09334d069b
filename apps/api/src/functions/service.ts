import { SoulBoxError } from '@soulbox/base';
import type { FunctionService } from '@soulbox/contract/function-service';
import type { ApiContext } from '../context.ts';

/** Throws `not_implemented` on a server without functions. */
export function getFunctions({ functions }: ApiContext): FunctionService {
  if (functions === undefined)
    throw new SoulBoxError('not_implemented', 'Edge functions are not available on this server.');
  return functions;
}
