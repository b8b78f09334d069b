import { Sandbox, SoulBoxError } from 'soulbox';

await using sandbox = await Sandbox.create({ retries: 2 });
try {
  await sandbox.commands.run('echo half; exit 3');
} catch (error) {
  if (!(error instanceof SoulBoxError) || error.reason !== 'command_failed') throw error;
  console.log(`exit code ${error.result?.exitCode}, printed ${error.result?.stdout.trim()}`);
}
