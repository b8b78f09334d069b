import { Sandbox } from 'soulbox';

// Another program, or this one after a crash, continues to read where the first reader stopped.
await using sandbox = await Sandbox.create();
const { id } = await sandbox.process.start('bash', ['-c', 'for n in 1 2 3 4 5 6; do echo line $n; sleep 0.05; done']);

let position = 0;
for await (const event of sandbox.process.attach(id)) {
  if (event.type !== 'output') continue;
  position = event.position + event.data.length;
  if (position >= 14) break;
}

const decoder = new TextDecoder();
let rest = '';
const other = await Sandbox.connect(sandbox.sandboxId);
for await (const event of other.process.attach(id, position)) {
  if (event.type === 'output') rest += decoder.decode(event.data, { stream: true });
  if (event.type === 'ended') console.log(`exit ${event.exit.code}, ${position + rest.length} bytes in all`);
}
