import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);
const timeLimitMs = 60_000;

/** Runs a shell script in a folder, in a process of its own: this one may have to answer its calls. Returns its output. */
export async function runScript(folder: string, script: string): Promise<string> {
  const { stdout } = await execute('/bin/bash', ['-ec', script], { cwd: folder, timeout: timeLimitMs });
  return stdout;
}

/** The errno of a call of Python's `os`, or `0`. */
export async function errnoOf(folder: string, call: string): Promise<string> {
  const program = `
import os, errno
try:
    ${call}
    print(0)
except OSError as error:
    print(errno.errorcode[error.errno])`;
  const { stdout } = await execute('/usr/bin/python3', ['-I', '-c', program], { cwd: folder, timeout: timeLimitMs });
  return stdout.trim();
}
