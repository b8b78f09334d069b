export type {
  Driver,
  DriverCapabilities,
  DriverFinding,
  EnvdRuntime,
  ResourceSample,
  SandboxAddress,
  SandboxInstance,
  SandboxLimits,
  SandboxSpec,
} from './driver.ts';
