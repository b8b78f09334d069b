/** Aborts at Ctrl-C and the like, so that nothing half done stays. */
export function abortOnSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => {
      stop.abort(new Error(`Interrupted (${name}).`));
    });
  }
  return stop.signal;
}
