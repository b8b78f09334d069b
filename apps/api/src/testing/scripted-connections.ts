import type { MessageInitShape } from '@bufbuild/protobuf';
import { recordToWire } from '@soulbox/contract/egress-record-service';
import type { EgressRecord } from '@soulbox/contract/egress-record-service';
import type { TakeConnectionsRequest, TakeConnectionsResponseSchema } from '@soulbox/contract/runner';

/** The part of a scripted runner that knows connections. */
export interface ScriptedConnections {
  /** All orders. */
  readonly orders: { readonly recorded: bigint; readonly refused: bigint }[];
  /** Has these for the next one who asks, until they are recorded or refused. Returns the number of the batch. */
  give(batch: readonly EgressRecord[]): bigint;
  take(order: TakeConnectionsRequest): MessageInitShape<typeof TakeConnectionsResponseSchema>;
}

export function createScriptedConnections(): ScriptedConnections {
  const orders: { recorded: bigint; refused: bigint }[] = [];
  let number = 1n;
  let batch: readonly EgressRecord[] = [];
  const give = (next: readonly EgressRecord[]): bigint => {
    batch = next;
    number += 1n;
    return number;
  };
  return {
    orders,
    give,
    take({ recorded, refused }) {
      orders.push({ recorded, refused });
      if (recorded === number || refused === number) give([]);
      return { batch: number, connections: batch.map(recordToWire), dropped: 0n };
    },
  };
}
