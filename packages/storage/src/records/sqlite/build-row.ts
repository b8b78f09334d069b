import type { SQLOutputValue } from 'node:sqlite';
import type { BuildLog, BuildLogLevel, BuildRecord, BuildStatus } from '../builds.ts';

/** Converts a row of `builds` to the record. The list of tags was written by our own code and is trusted. */
export function buildFromRow(row: Record<string, SQLOutputValue>): BuildRecord {
  return {
    id: String(row['id']),
    templateId: String(row['template_id']),
    tags: JSON.parse(String(row['tags'])) as string[],
    status: row['status'] as BuildStatus,
    reason:
      row['reason'] === null ? undefined : { message: String(row['reason']), step: String(row['reason_step'] ?? '') },
    cpuCount: Number(row['cpu_count']),
    memoryMb: Number(row['memory_mb']),
    minFreeDiskMb: Number(row['min_free_disk_mb']),
    diskSizeMb: Number(row['disk_size_mb']),
    envdVersion: String(row['envd_version']),
    startCommand: String(row['start_command']),
    readyCommand: String(row['ready_command']),
    createdAt: Number(row['created_at']),
    updatedAt: Number(row['updated_at']),
    finishedAt: row['finished_at'] === null ? undefined : Number(row['finished_at']),
  };
}

export function buildLogFromRow(row: Record<string, SQLOutputValue>): BuildLog {
  return {
    at: Number(row['at']),
    level: row['level'] as BuildLogLevel,
    step: String(row['step']),
    message: String(row['message']),
  };
}
