/** A response that was thrown away unread. Its connection ends, and its slot is free again. */
const forgotten = new FinalizationRegistry<() => void>((end) => end());

/** The same response, which calls `release` when its body has been read, canceled, or forgotten by everybody. */
export function releasingResponse(response: Response, release: () => void): Response {
  if (response.body === null) {
    release();
    return response;
  }
  const reader = response.body.getReader();
  const body = releasingBody(reader, release);
  forgotten.register(body, () => {
    release();
    void reader.cancel().catch(() => undefined);
  });
  const { status, statusText, headers, url, redirected, type } = response;
  const same = new Response(body, { status, statusText, headers });
  // The constructor takes none of these.
  for (const [name, value] of Object.entries({ url, redirected, type })) Object.defineProperty(same, name, { value });
  return same;
}

function releasingBody(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  release: () => void,
): ReadableStream<Uint8Array> {
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
      try {
        const { done, value } = await reader.read();
        if (!done) {
          controller.enqueue(value);
          return;
        }
        release();
        controller.close();
      } catch (error) {
        release();
        controller.error(error);
      }
    },
    async cancel(reason: unknown): Promise<void> {
      release();
      await reader.cancel(reason);
    },
  };
  // Nothing is read ahead of the caller.
  return new ReadableStream(source, { highWaterMark: 0 });
}
