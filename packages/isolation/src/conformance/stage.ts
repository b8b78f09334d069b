import type { Driver, EnvdBundle, SandboxInstance } from '../driver.ts';
import type { TestBench } from './test-sandbox.ts';

/** What a driver's test file provides to run the suite. */
export interface DriverUnderTest {
  readonly name: string;
  /** Called more than once: each result stands for a server that knows nothing about the earlier ones. */
  readonly createDriver: () => Driver;
  readonly instanceNumber: number;
  /**
   * A program that starts the sandbox of the SandboxSpec in its argument (JSON), and writes a line before it begins.
   */
  readonly startProgram: string;
  /** The path at which the host sees the root of a running sandbox. */
  readonly rootOf: (instance: SandboxInstance) => string;
  /** Runs only the tests that save and restore, with memory that is loaded late. Default false. */
  readonly lateMemory?: boolean;
}

/** The values that the parts of the suite share; set before the first test runs. */
export interface Stage {
  readonly tested: DriverUnderTest;
  bench: TestBench;
  envdBundle: EnvdBundle;
}
