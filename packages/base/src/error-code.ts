/** The closed set of error classes: Connect's code names (connectrpc.com/docs/protocol#error-codes). */
export type ErrorCode =
  | 'invalid_argument'
  | 'unauthenticated'
  | 'permission_denied'
  | 'not_found'
  | 'already_exists'
  | 'failed_precondition'
  | 'out_of_range'
  | 'resource_exhausted'
  | 'unimplemented'
  | 'unavailable'
  | 'deadline_exceeded'
  | 'canceled'
  | 'data_loss'
  | 'unknown'
  | 'internal';
