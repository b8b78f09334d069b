import { Sandbox } from 'soulbox';

// The sandbox is killed at the end of the program.
await using sandbox = await Sandbox.create();
await sandbox.files.write('hello.py', 'print("Hello from a sandbox")');
const { stdout } = await sandbox.commands.run('python3 hello.py');
console.log(stdout.trim());
