import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * The files of a data folder that contain these bytes. Without templates, envd, and the disks of sandboxes, which are not
 * encrypted, and whose holes grep would read for seconds.
 */
export async function filesWith(dataDirectory: string, canary: string): Promise<string[]> {
  const options = ['-r', '-l', '-a', '-F', '--exclude-dir=templates', '--exclude-dir=runtime', '--exclude=*.img'];
  const { stdout } = await run('grep', [...options, '--devices=skip', '--', canary, dataDirectory]).catch(
    (error: unknown) => {
      const failed = error as { code?: number; stdout: string };
      if (failed.code !== 1 && failed.code !== 2) throw error;
      return failed;
    },
  );
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((path) => path.slice(dataDirectory.length + 1))
    .sort();
}
