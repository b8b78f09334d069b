import type { Driver, EnvdBundle, SandboxInstance } from '../driver.ts';
import type { TestBench } from './test-sandbox.ts';

/** What a driver's test file says to run the suite. */
export interface DriverUnderTest {
  readonly name: string;
  /** Called more than once: each result stands for a server that knows nothing of the ones before. */
  readonly createDriver: () => Driver;
  readonly instanceNumber: number;
  /** A program that starts the sandbox of the SandboxSpec in its argument (JSON), and writes a line before it begins. */
  readonly startProgram: string;
  /** Where the host sees the root of a sandbox that runs. */
  readonly rootOf: (instance: SandboxInstance) => string;
  /** Runs only what saves and restores, with memory that comes late. Default false. */
  readonly lateMemory?: boolean;
}

/** What the parts of the suite share; filled in before the first test runs. */
export interface Stage {
  readonly tested: DriverUnderTest;
  bench: TestBench;
  runtime: EnvdBundle;
}
