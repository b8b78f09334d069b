import { run } from '@soulbox/base';

export type ProbeResult = { readonly ok: true } | { readonly ok: false; readonly why: string };

/**
 * Tries something in separate namespaces, so that nothing of it remains. A real attempt is more reliable than a list of
 * features.
 */
export async function probe(
  unshareFlags: readonly string[],
  command: readonly string[],
  input?: string,
): Promise<ProbeResult> {
  try {
    await run('unshare', [...unshareFlags, '--', ...command], {
      timeoutMs: 10_000,
      ...(input === undefined ? {} : { input }),
    });
    return { ok: true };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { ok: false, why: text.replaceAll(/\s+/g, ' ').slice(-300) };
  }
}
