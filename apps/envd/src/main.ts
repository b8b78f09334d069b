import { readConfig, readEnvironment, sudoMode } from './config.ts';

// The compiled form is CommonJS, so there is no top-level await. Unused modes are not even loaded.
const [, , mode, ...args] = process.argv;
void (mode === sudoMode ? becomeSudo() : serve());

async function serve(): Promise<void> {
  const { serveSandbox } = await import('./serve-sandbox.ts');
  await serveSandbox(readConfig()).catch((error: unknown) => {
    process.stderr.write(`envd cannot listen: ${String(error)}\n`);
    process.exit(1);
  });
}

async function becomeSudo(): Promise<void> {
  const { runSudo } = await import('./sudo/client.ts');
  const end = await runSudo(readConfig(), args, readEnvironment());
  if ('code' in end) process.exit(end.code);
  // Ends by the same signal as the command, so that a shell reports it.
  process.removeAllListeners();
  process.kill(process.pid, end.signal);
  process.exit(128 + end.signal);
}
