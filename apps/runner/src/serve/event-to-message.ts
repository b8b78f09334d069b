import type { MessageInitShape } from '@bufbuild/protobuf';
import type { WatchEventsResponseSchema } from '@soulbox/contract/runner';
import type { RunnerEvent } from '../registry/events.ts';
import { sandboxToMessage } from './to-message.ts';

export function eventToMessage(event: RunnerEvent): MessageInitShape<typeof WatchEventsResponseSchema> {
  switch (event.kind) {
    case 'created':
    case 'updated':
      return { event: { case: event.kind, value: { sandbox: sandboxToMessage(event) } } };
    case 'ended':
      return { event: { case: 'ended', value: { sandboxId: event.sandboxId, cause: event.cause } } };
    case 'checkpointed':
      return { event: { case: 'checkpointed', value: { sandboxId: event.sandboxId, snapshotId: event.snapshotId } } };
    case 'listed':
      return { event: { case: 'snapshotDone', value: {} } };
  }
}
