/** Aborts on Ctrl-C and similar signals, so that nothing incomplete remains. */
export function abortOnSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(name, () => {
      stop.abort(new Error(`Interrupted (${name}).`));
    });
  }
  return stop.signal;
}
