export interface ApiErrorFacts {
  /** The server's reason (docs/errors.md). Default: `http_` and the status, for responses that name none. */
  readonly reason?: string | undefined;
  /** The id of the request in the server's log. */
  readonly requestId?: string | undefined;
}

/** An error response of the API. Its message is written for people. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly reason: string;
  readonly requestId: string | undefined;

  constructor(status: number, message: string, { reason = `http_${status}`, requestId }: ApiErrorFacts = {}) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.requestId = requestId;
  }
}
