import { SoulBoxError } from '@soulbox/base';
import { rehearse } from '../envd/rehearse.ts';
import { readCpuType } from '../host/cpu-type.ts';
import type { CopySource, SnapshotRecord } from '../registry/snapshot-store.ts';
import { getDriver } from '../processes/sandbox-host.ts';
import type { Tenant } from '../registry/record.ts';
import { tellSettings } from '../processes/tell-envd.ts';
import type { BuildSandbox } from './build-sandbox.ts';
import type { BuildContext } from './builds.ts';
import type { CachedResult } from './cache/layer-cache.ts';
import { resultKey } from './cache/step-key.ts';
import { capture } from './capture.ts';
import { startAndWait } from './start-and-wait.ts';
import { findHome } from './steps/home.ts';
import { runScript, script } from './steps/shell.ts';
import type { StepRunner, StepRunnerOptions } from './step-runner.ts';

export interface FinishOptions extends StepRunnerOptions {
  /** Cache key of the last step. */
  readonly key: string;
  /** The cache is not used. */
  readonly isForced: boolean;
  readonly stepRunner: StepRunner;
}

/** Runs the start command and keeps a snapshot of the result, or uses the snapshot of an equal earlier build. */
export async function finishBuild(context: BuildContext, options: FinishOptions): Promise<SnapshotRecord> {
  const { builds, host } = context;
  const { log } = options;
  const key = await keyOfResult(context, options);
  const cached = options.isForced ? undefined : builds.cache.find(key, 'result');
  if (cached !== undefined && (await isUsable(context, options, cached))) {
    log.write('finalize', 'info', 'CACHED');
    const snapshot = await writeSnapshot(context, options, cached);
    await builds.cache.touch([key]);
    return snapshot;
  }
  const made = await makeResult(context, options);
  const snapshot = await writeSnapshot(context, options, made);
  await builds.cache.write(key, made).catch((err: unknown) => {
    host.logger.warn({ buildId: options.spec.buildId, err }, 'result of a build could not be cached');
  });
  return snapshot;
}

/** Covers everything that determines a result, including envd, driver and CPU: others could not restore it. */
async function keyOfResult(
  { host }: BuildContext,
  { key, spec, isolation, stepRunner }: FinishOptions,
): Promise<string> {
  const { teamId, templateId, startCommand, readyCommand, cpuCount, memoryMb, minFreeDiskMb } = spec;
  return resultKey(key, {
    ...{ teamId, templateId, startCommand, readyCommand, cpuCount, memoryMb, minFreeDiskMb, isolation },
    context: stepRunner.context,
    runtime: host.envdBundle.directory,
    driver: await getDriver(host, isolation).readVersion(),
    cpuType: await readCpuType(),
  });
}

async function isUsable(
  { host }: BuildContext,
  { stepRunner }: FinishOptions,
  { source }: CachedResult,
): Promise<boolean> {
  stepRunner.hold(source.stateId, source.layers);
  try {
    await host.checkpoints.open(source.stateId);
    for (const layerId of source.layers) await host.checkpoints.verifyLayer(layerId);
    return true;
  } catch (err) {
    host.logger.warn({ checkpointId: source.stateId, err }, 'cached result of a build cannot be used');
    return false;
  }
}

async function makeResult(context: BuildContext, options: FinishOptions): Promise<CachedResult> {
  const { spec, log, signal, stepRunner } = options;
  await stepRunner.shorten();
  const { user, workdir, variables } = stepRunner.context;
  const sandbox = await stepRunner.open(settingsOf(options, user, workdir));
  const defaultWorkdir = workdir === '' ? await findHome(sandbox.programs, user, signal) : workdir;
  await leaveMark(sandbox, spec.templateId, spec.buildId, signal);
  await rehearse(sandbox.sandbox.live, user);
  await settle(context, sandbox, settingsOf(options, user, defaultWorkdir));
  await startAndWait(sandbox, {
    ...spec,
    context: stepRunner.context,
    readyTimeoutMs: context.host.config.buildReadySeconds * 1000,
    log,
    signal,
  });
  signal.throwIfAborted();
  checkCapability(sandbox, spec.startCommand);
  log.write('finalize', 'info', 'keeping a snapshot');
  const { source, sizeBytes } = await capture(context, sandbox, stepRunner.hold.bind(stepRunner));
  return { kind: 'result', source, sizeBytes, sandboxId: sandbox.sandbox.record.sandboxId, variables };
}

/** Writes the settings to the record, from which copies take them, and to envd, which remembers user and folder. */
async function settle(context: BuildContext, { sandbox }: BuildSandbox, settings: Tenant['settings']): Promise<void> {
  await context.table.update(sandbox, { tenant: { ...sandbox.record.tenant, settings } });
  await tellSettings(context, sandbox, sandbox.live);
}

/** The settings of every program in a sandbox. Variables of the build are not included. */
function settingsOf({ base, spec }: FinishOptions, user: string, workdir: string): Tenant['settings'] {
  const { templateId, teamId } = spec;
  const own = { E2B_SANDBOX: 'true', E2B_TEMPLATE_ID: templateId, E2B_TEAM_ID: teamId };
  return { envVars: { ...base.environment, ...own }, defaultUser: user, defaultWorkdir: workdir };
}

/** As in E2B's builds, the file /.e2b tells programs inside which template and build they run in. */
const markScript = `
mkdir -p /code
[ "$(stat -c %a /code)" = 777 ] || chmod 777 /code
printf 'ENV_ID=%s\\nTEMPLATE_ID=%s\\nBUILD_ID=%s\\n' "$1" "$1" "$2" >/.e2b
`;

async function leaveMark(
  { programs }: BuildSandbox,
  templateId: string,
  buildId: string,
  signal: AbortSignal,
): Promise<void> {
  const { exitCode, stderr } = await runScript(programs, script(markScript, [templateId, buildId]), signal);
  if (exitCode !== 0) throw new SoulBoxError('build_failed', `/.e2b cannot be written: ${stderr.trim().slice(0, 500)}`);
}

function checkCapability({ sandbox: { live } }: BuildSandbox, startCommand: string): void {
  if (startCommand === '' || live.driver.capabilities.checkpoint) return;
  throw new SoulBoxError(
    'capability_missing',
    `The isolation "${live.driver.name}" cannot save memory on this host, so the process of a start command could not be part of the template.`,
  );
}

async function writeSnapshot(
  context: BuildContext,
  { spec }: FinishOptions,
  { source, sizeBytes, sandboxId, variables }: Omit<CachedResult, 'kind'> & { readonly source: CopySource },
): Promise<SnapshotRecord> {
  const { snapshots, clock } = context;
  snapshots.checkFree(spec.buildId);
  const snapshot: SnapshotRecord = {
    ...source,
    formatVersion: 2,
    snapshotId: spec.buildId,
    sandboxId,
    createdAtMs: clock.now(),
    sizeBytes,
    variables,
  };
  await snapshots.write(snapshot);
  return snapshot;
}
