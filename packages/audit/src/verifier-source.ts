import { readFile } from 'node:fs/promises';
import { stripTypeScriptTypes } from 'node:module';

/** The verifier as a program in JavaScript, for readers who have Node.js and nothing of ours. */
export async function readVerifier(): Promise<string> {
  const file = new URL('verify-log.ts', import.meta.url);
  const source = await readFile(file, 'utf8');
  // In a package it is JavaScript already.
  return file.pathname.endsWith('.ts') ? withoutTypes(source) : source;
}

/** Only a clone does this, with the Node that it pins, so the warning that the function may change says nothing. */
function withoutTypes(source: string): string {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    return stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}
