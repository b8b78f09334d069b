import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Sandbox } from 'soulbox';
import { folder } from 'soulbox/node';

// A project of this machine runs in a sandbox. For builds, `folder` gives COPY its files.
const project = await mkdtemp(join(tmpdir(), 'project-'));
await writeFile(join(project, 'words.py'), 'words = ["from", "a", "folder"]');
await writeFile(join(project, 'main.py'), 'from words import words\nprint(*words)');

await using sandbox = await Sandbox.create();
const { stdout, exitCode } = await sandbox.run({ folder: folder(project) });
console.log(`${stdout.trim()}, exit ${exitCode}`);
await rm(project, { recursive: true });
