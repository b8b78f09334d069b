import type { ErrorCode } from './error-code.ts';

interface ReasonInfo {
  readonly code: ErrorCode;
  /** The meaning and the remedy, as printed in docs/errors.md (a test compares the two). */
  readonly help: string;
}

/** Every reason that an error of ours can have. A new one is added here and in docs/errors.md, nowhere else. */
export const reasons = {
  bad_request: {
    code: 'invalid_argument',
    help: 'The request does not have the documented form. The message names the field.',
  },
  bad_path: {
    code: 'invalid_argument',
    help: 'The path cannot be used in this way: it is the wrong kind of file, or its form is not accepted.',
  },
  not_a_directory: { code: 'invalid_argument', help: 'The path names something that is not a directory.' },
  unauthorized: { code: 'unauthenticated', help: 'The API key, token or signature is missing or wrong.' },
  unknown_user: { code: 'unauthenticated', help: 'The sandbox does not have this user.' },
  forbidden: { code: 'permission_denied', help: 'The caller is authenticated but is not allowed to do this.' },
  scope_missing: {
    code: 'permission_denied',
    help: 'The API key is valid but may not do this: it lacks the scope that the message names, or it is restricted to other templates. `soulbox key list` shows what each key may do.',
  },
  sandbox_not_found: {
    code: 'not_found',
    help: 'The caller has no sandbox with this id. It has ended, or it belongs to another team.',
  },
  template_not_found: {
    code: 'not_found',
    help: 'No template has this id or name. List the templates with `soulbox template list`.',
  },
  build_not_found: { code: 'not_found', help: 'The template has no build with this id.' },
  build_failed: {
    code: 'failed_precondition',
    help: 'A step of the template build failed. The message names the command and how it ended; the build log has its output.',
  },
  template_in_use: {
    code: 'invalid_argument',
    help: 'The template has running or paused sandboxes. Kill them, then delete the template.',
  },
  file_not_found: { code: 'not_found', help: 'The path does not exist in the sandbox or the volume.' },
  volume_in_use: {
    code: 'failed_precondition',
    help: 'Sandboxes have the volume mounted, running or paused ones. Kill them first.',
  },
  volume_mount_failed: {
    code: 'invalid_argument',
    help: 'The volume cannot be mounted at this path in the sandbox. Choose a path that is no file and not in a folder of the system.',
  },
  volume_not_found: {
    code: 'not_found',
    help: 'The team has no volume with this id. List the volumes with `soulbox volume list`.',
  },
  volume_exists: {
    code: 'invalid_argument',
    help: 'The team already has a volume with this name. Choose another name, or delete that volume.',
  },
  bucket_not_found: {
    code: 'not_found',
    help: 'The team has no bucket with this name or id. List the buckets with `soulbox bucket list`.',
  },
  bucket_exists: {
    code: 'already_exists',
    help: 'The team already has a bucket with this name. Choose another name, or update that bucket.',
  },
  bucket_in_use: {
    code: 'failed_precondition',
    help: 'Sandboxes have the bucket mounted, running or paused ones. Kill them first.',
  },
  range_not_satisfiable: {
    code: 'out_of_range',
    help: 'The range of the request begins behind the end of the file. The message says how long the file is.',
  },
  volume_damaged: {
    code: 'data_loss',
    help: 'The files of the volume cannot be found any more, because the list of them was altered or cut off on the disk. Stop the server and put `DATA/volumes/TEAM/VOLUME/` back from a copy, or delete the volume.',
  },
  volumes_unavailable: {
    code: 'unavailable',
    help: 'The process with the contents of volumes does not answer. It is restarted by itself; retry in a moment. The log of the server has the cause.',
  },
  buckets_unavailable: {
    code: 'unavailable',
    help: 'The process that reads and writes buckets does not answer. It is restarted by itself; retry in a moment. The log of the server has the cause.',
  },
  process_not_found: {
    code: 'not_found',
    help: 'No process with this pid or tag was started through envd, or it ended more than 30 s ago.',
  },
  watcher_not_found: { code: 'not_found', help: 'No watcher has this id. It was removed or never created.' },
  key_not_found: { code: 'not_found', help: 'The team has no API key with this id.' },
  team_not_found: { code: 'not_found', help: 'The key does not belong to a team with this id.' },
  team_in_use: {
    code: 'failed_precondition',
    help: 'The team has sandboxes, snapshots, templates, functions or volumes. Delete them first, or use `soulbox team delete --force`.',
  },
  user_not_found: {
    code: 'not_found',
    help: 'No user has this id or address. List the users with `soulbox user list`.',
  },
  user_exists: {
    code: 'already_exists',
    help: 'A user with this address was added before, and has not signed in yet.',
  },
  sign_in_refused: {
    code: 'permission_denied',
    help: 'The identity provider has confirmed the person, but this server admits nobody with these claims. See docs/sign-in.md.',
  },
  sign_in_failed: {
    code: 'invalid_argument',
    help: 'The answer of the identity provider is not valid, or does not belong to a sign-in that this browser has started. Start again.',
  },
  provider_unavailable: {
    code: 'unavailable',
    help: 'The identity provider does not respond in time, or with an error. Retry later; the log of the server has the cause.',
  },
  route_not_found: { code: 'not_found', help: 'The server does not have this route.' },
  method_not_allowed: {
    code: 'invalid_argument',
    help: 'The route does not support this method. The `Allow` header lists the supported ones.',
  },
  body_too_large: {
    code: 'invalid_argument',
    help: 'The request body is larger than the limit that the message names.',
  },
  unsupported_media_type: {
    code: 'invalid_argument',
    help: 'The route or the signed URL does not accept this Content-Type. The message names the accepted one.',
  },
  request_timeout: {
    code: 'deadline_exceeded',
    help: 'The headers or the body of the request did not arrive within the time limit.',
  },
  file_exists: { code: 'already_exists', help: 'The path already exists.' },
  name_taken: { code: 'already_exists', help: 'The name is already taken. Choose another one, or remove what has it.' },
  illegal_transition: {
    code: 'failed_precondition',
    help: 'The current state does not allow this step. The message names the state.',
  },
  signed_url_used: {
    code: 'already_exists',
    help: 'The signed URL may be used once, and was used already. Sign another one.',
  },
  link_loop: { code: 'failed_precondition', help: 'The path has a loop of symbolic links.' },
  disk_full: {
    code: 'resource_exhausted',
    help: 'The disk of the sandbox or the volume is full, or the host does not have enough free space. The message says which. In the sandbox, delete files or use a template with a larger disk. On the host, end or delete sandboxes and snapshots, or free space (docs/full-disk.md).',
  },
  audit_log_full: {
    code: 'unavailable',
    help: 'The audit log of the team has reached its limit, so nothing may happen that it could not record. Kills, pauses and reading still work. The operator exports and prunes the log, or raises `SOULBOX_AUDIT_LOG_MB` (docs/audit.md).',
  },
  audit_unavailable: {
    code: 'unavailable',
    help: 'The audit log cannot record the action, because the disk of the server is full or faulty. Kills and pauses still work. Retry when the operator has freed space.',
  },
  too_many_sandboxes: {
    code: 'resource_exhausted',
    help: 'The team or the host has reached its limit of sandboxes. Kill some, or retry later.',
  },
  too_many_builds: {
    code: 'resource_exhausted',
    help: 'The host has reached its limit of concurrent template builds. Retry when one has finished.',
  },
  build_canceled: {
    code: 'canceled',
    help: 'The template build was canceled, or a newer build of the same template and tag replaced it.',
  },
  build_timeout: {
    code: 'deadline_exceeded',
    help: 'The template build took longer than `SOULBOX_BUILD_TIMEOUT_MINUTES`.',
  },
  image_unavailable: {
    code: 'failed_precondition',
    help: 'The image of the template build cannot be pulled. The message says why.',
  },
  budget_spent: {
    code: 'resource_exhausted',
    help: 'The team or the API key has used up its budget of CPU time, outgoing bytes or sandboxes. The message names it; `Retry-After` says when the next day begins. The operator or the team can raise it (docs/limits.md).',
  },
  idempotency_key_reused: {
    code: 'invalid_argument',
    help: 'The `Idempotency-Key` was used for another request. Use a new key for a new request.',
  },
  request_in_progress: {
    code: 'failed_precondition',
    help: 'A request with this `Idempotency-Key` is still in progress. Repeat it after the time in `Retry-After`.',
  },
  limit_exceeded: { code: 'resource_exhausted', help: 'A documented limit was reached. The message names it.' },
  rate_exceeded: {
    code: 'resource_exhausted',
    help: 'The API key, the team or the address sends too many requests, or the team creates sandboxes too fast. Wait for the time in `Retry-After`. Settings: `SOULBOX_API_KEY_RATE`, `SOULBOX_API_ADDRESS_RATE`, and the limits of the team (docs/limits.md).',
  },
  not_implemented: { code: 'unimplemented', help: 'This version of SoulBox does not support the call.' },
  port_closed: { code: 'unavailable', help: 'Nothing in the sandbox listens on this port.' },
  sandbox_unreachable: {
    code: 'unavailable',
    help: 'The envd of the sandbox did not respond in time. From the gateway, with status 502: the sandbox is paused or gone.',
  },
  sandbox_start_failed: {
    code: 'unavailable',
    help: 'The sandbox could not be started. The server log names the step that failed. Run `soulbox doctor`.',
  },
  runner_unavailable: {
    code: 'unavailable',
    help: 'The runner, which owns the sandboxes, cannot be reached or did not respond in time. Retry.',
  },
  control_unavailable: {
    code: 'unavailable',
    help: 'The control plane, which answers the REST API and starts functions, cannot be reached right now. Retry in a moment.',
  },
  template_being_made: {
    code: 'unavailable',
    help: 'The template is being built because it was requested for the first time. The message reports the progress. Retry.',
  },
  shutting_down: { code: 'unavailable', help: 'The server is stopping. Retry when it is up again.' },
  host_not_ready: {
    code: 'unavailable',
    help: 'The host lacks something that SoulBox needs. Run `soulbox doctor`, which names the fix.',
  },
  snapshot_not_found: { code: 'not_found', help: 'The team has no snapshot with this id or name.' },
  event_not_found: { code: 'not_found', help: 'No event has this id.' },
  webhook_not_found: { code: 'not_found', help: 'The team has no webhook with this id.' },
  function_not_found: { code: 'not_found', help: 'The team has no function with this name.' },
  version_not_found: {
    code: 'not_found',
    help: 'The function does not have this version, or has no version before the active one.',
  },
  secret_host_refused: {
    code: 'permission_denied',
    help: 'A rule would send a secret of the team to a host for which it is not meant. `soulbox secret list` shows the hosts of each secret; `soulbox secret set` changes them.',
  },
  secret_not_found: { code: 'not_found', help: 'The team or the function has no secret with this id or name.' },
  namespace_not_found: { code: 'not_found', help: 'The team has no key-value namespace with this name.' },
  function_broken: {
    code: 'invalid_argument',
    help: 'The code of the function could not be started. The message is the error of its engine. The previous version stays active.',
  },
  already_paused: { code: 'already_exists', help: 'The sandbox is already paused.' },
  checkpoint_failed: {
    code: 'unavailable',
    help: 'The memory of the sandbox could not be saved. The sandbox continues to run. The message names the cause.',
  },
  sandbox_resume_failed: {
    code: 'unavailable',
    help: 'The paused sandbox could not be resumed. It stays paused: unchanged if its programs did not run; as they left it if they ran and could be saved again; otherwise with its files only. The message names the cause.',
  },
  state_damaged: {
    code: 'data_loss',
    help: 'A checkpoint or other saved data is incomplete or was altered. Nothing was started from it. It is kept for inspection.',
  },
  backup_unusable: {
    code: 'failed_precondition',
    help: 'The backup is incomplete, damaged or from a newer SoulBox, or a restore did not finish. The message names the part.',
  },
  export_unusable: {
    code: 'invalid_argument',
    help: 'The export file is cut off, altered, of another version, or no export at all. The message names the fault. Nothing of it was kept. Export again, or copy the file again.',
  },
  export_untrusted: {
    code: 'permission_denied',
    help: 'The export file was signed by a server that this one does not trust. The message has its key; the operator can add it to `SOULBOX_IMPORT_TRUSTED_KEYS` (docs/export.md).',
  },
  state_incompatible: {
    code: 'failed_precondition',
    help: 'The checkpoint has a format version, CPU type or isolation that this host does not have, or that differs from the requested one.',
  },
  capability_missing: {
    code: 'unimplemented',
    help: 'The isolation of this sandbox does not support the operation. The message names both.',
  },
  runtime_not_found: {
    code: 'invalid_argument',
    help: 'SoulBox could not detect a runtime. The message names what it inspected. Specify the language or the entry.',
  },
  runtime_not_installed: {
    code: 'failed_precondition',
    help: 'The sandbox does not have the runtime. The message names the missing program and the template that has it.',
  },
  dependencies_failed: {
    code: 'failed_precondition',
    help: 'The dependencies of the project could not be installed. The message ends with the last output of the installer.',
  },
  process_timeout: {
    code: 'deadline_exceeded',
    help: 'The process reached the time limit of its call and was killed.',
  },
  process_state: {
    code: 'internal',
    help: 'The process cannot accept this: its input is closed, or it has no terminal.',
  },
  process_not_ready: {
    code: 'failed_precondition',
    help: 'The process is not in the state that the call needs: it has no terminal or input, its input is closed, or it has not ended yet.',
  },
  process_id_used: {
    code: 'already_exists',
    help: 'Another process with this id was started with another request. Use a new id for each process.',
  },
  position_out_of_range: {
    code: 'out_of_range',
    help: 'The position is beyond the output of the process or beyond the input of the writer. The message names the highest valid position.',
  },
  master_key_missing: {
    code: 'failed_precondition',
    help: 'The master key that encrypts the stored secrets is lost, or is another key. The message names it and the place where it was. Put it back; the server creates no other key beside existing secrets (docs/secrets.md).',
  },
  key_store_unavailable: {
    code: 'unavailable',
    help: 'The module that keeps the master key failed or does not respond. The message has its result. Retry when it works again.',
  },
  storage_not_found: { code: 'not_found', help: 'The object store has no such object.' },
  storage_precondition_failed: {
    code: 'failed_precondition',
    help: 'The object exists already, or has another version than the call expects. Nothing was written.',
  },
  storage_throttled: {
    code: 'resource_exhausted',
    help: 'The object store asks for fewer requests, and repetitions did not help. Retry later.',
  },
  storage_access_denied: {
    code: 'permission_denied',
    help: 'The object store refuses the credentials, or there are none. The message has its answer; `soulbox storage check` shows what works (docs/storage.md), for a bucket of a team `soulbox bucket check`.',
  },
  storage_unavailable: {
    code: 'unavailable',
    help: 'The object store cannot be reached, fails, or is too slow, and repetitions did not help. Retry later.',
  },
  storage_damaged: {
    code: 'data_loss',
    help: 'Bytes from or for the object store do not have the expected length or digest. Nothing of them was used.',
  },
  storage_taken: {
    code: 'failed_precondition',
    help: 'Another server writes to the same place of the object store, so this one uploads nothing more: a copy of the data folder, or a host that was recovered from the store (docs/storage.md).',
  },
  storage_unsupported: {
    code: 'unimplemented',
    help: 'The object store does not support the call (docs/storage.md).',
  },
  config_invalid: {
    code: 'invalid_argument',
    help: 'A configuration value is unknown, malformed or contradicts another one. The message lists all faults.',
  },
  internal: {
    code: 'internal',
    help: 'An internal error of SoulBox. The server log has the details under the request id.',
  },
} as const satisfies Record<string, ReasonInfo>;

export type Reason = keyof typeof reasons;
