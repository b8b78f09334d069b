import type { ErrorCode } from './error.ts';

interface ReasonInfo {
  readonly code: ErrorCode;
  /** What it means and what to do, as printed in docs/errors.md (a test compares the two). */
  readonly help: string;
}

/** Every reason an error of ours can carry. Adding one here and in docs/errors.md is all it takes. */
export const reasons = {
  bad_request: {
    code: 'invalid_argument',
    help: 'The request does not have the documented form; the message names the field.',
  },
  bad_path: {
    code: 'invalid_argument',
    help: 'The path cannot be used this way: wrong kind of file, or a form that is not accepted.',
  },
  not_a_directory: { code: 'invalid_argument', help: 'The path names something that is not a directory.' },
  unauthorized: { code: 'unauthenticated', help: 'The key, token or signature is missing or wrong.' },
  unknown_user: { code: 'unauthenticated', help: 'The sandbox has no such user.' },
  forbidden: { code: 'permission_denied', help: 'The caller is known, but may not do this.' },
  sandbox_not_found: {
    code: 'not_found',
    help: 'No sandbox of this id exists for the caller: it ended, or belongs to another team.',
  },
  template_not_found: {
    code: 'not_found',
    help: 'No template of this id or name. List them with `soulbox template list`.',
  },
  build_not_found: { code: 'not_found', help: 'No build of this id belongs to the template.' },
  build_failed: {
    code: 'failed_precondition',
    help: 'A step of the template build failed; the message says which command and how it ended, the log what it printed.',
  },
  template_in_use: {
    code: 'invalid_argument',
    help: 'Sandboxes of the template run or are paused. End them, then delete it.',
  },
  file_not_found: { code: 'not_found', help: 'The path does not exist in the sandbox.' },
  process_not_found: {
    code: 'not_found',
    help: 'No process of this pid or tag was started through envd, or it ended over 30 s ago.',
  },
  watcher_not_found: { code: 'not_found', help: 'No watcher of this id; it was removed or never made.' },
  key_not_found: { code: 'not_found', help: 'No API key of this id in the team.' },
  team_not_found: { code: 'not_found', help: 'No team of this id exists for the key.' },
  team_in_use: {
    code: 'failed_precondition',
    help: 'The team has sandboxes, snapshots, templates or functions. `soulbox team delete --force` ends and deletes them first.',
  },
  route_not_found: { code: 'not_found', help: 'The server has no such route.' },
  method_not_allowed: {
    code: 'invalid_argument',
    help: 'The route exists for other methods; the `Allow` header names them.',
  },
  body_too_large: { code: 'invalid_argument', help: 'The body is larger than the limit that the message names.' },
  unsupported_media_type: {
    code: 'invalid_argument',
    help: 'The route does not take this Content-Type. Send `application/json`.',
  },
  request_timeout: {
    code: 'deadline_exceeded',
    help: 'The request did not arrive completely within the time limit for headers and body.',
  },
  file_exists: { code: 'already_exists', help: 'Something exists at the path already.' },
  name_taken: { code: 'already_exists', help: 'The name is taken; choose another or remove the old one.' },
  illegal_transition: {
    code: 'failed_precondition',
    help: 'The sandbox is in a state that does not allow this step; the message names from and to.',
  },
  link_loop: { code: 'failed_precondition', help: 'Symbolic links lead in a circle.' },
  disk_full: {
    code: 'resource_exhausted',
    help:
      'The disk of the sandbox is full, or the host has no room for what was asked; the message says which. Delete files or use a ' +
      'template with a larger disk; on the host, end or delete sandboxes and snapshots, or free space (docs/full-disk.md).',
  },
  too_many_sandboxes: {
    code: 'resource_exhausted',
    help: 'The team or the host is at its limit of sandboxes. Kill some, or retry later.',
  },
  too_many_builds: {
    code: 'resource_exhausted',
    help: 'The host runs as many template builds as it may at once. Retry when one has ended.',
  },
  build_canceled: {
    code: 'canceled',
    help: 'Somebody canceled the template build, or began another one of the same template and tag.',
  },
  build_timeout: {
    code: 'deadline_exceeded',
    help: 'The template build took longer than `SOULBOX_BUILD_TIMEOUT_MINUTES`.',
  },
  image_unavailable: {
    code: 'failed_precondition',
    help: 'The image of the template build cannot be had: the message says why.',
  },
  limit_exceeded: { code: 'resource_exhausted', help: 'A documented limit was reached; the message names it.' },
  rate_exceeded: {
    code: 'resource_exhausted',
    help: 'The API key or the address sends too many requests; `Retry-After` says when to go on. Settings: `SOULBOX_API_KEY_RATE`, `SOULBOX_API_ADDRESS_RATE`.',
  },
  not_implemented: { code: 'unimplemented', help: 'This version of SoulBox does not offer the call yet.' },
  port_closed: { code: 'unavailable', help: 'Nothing in the sandbox listens on this port.' },
  sandbox_unreachable: { code: 'unavailable', help: 'The sandbox runs, but its envd did not answer in time.' },
  sandbox_start_failed: {
    code: 'unavailable',
    help: 'The sandbox could not be started; the server log says which step failed. Run `soulbox doctor`.',
  },
  runner_unavailable: {
    code: 'unavailable',
    help: 'The runner, which owns the sandboxes, cannot be reached or did not answer in time. Retry.',
  },
  control_unavailable: {
    code: 'unavailable',
    help: 'The control plane, which answers the REST API and starts functions, cannot be reached right now. Retry in a moment.',
  },
  template_being_made: {
    code: 'unavailable',
    help: 'The template is made because somebody asked for it; the message says how far it is. Retry.',
  },
  shutting_down: { code: 'unavailable', help: 'The server is stopping; retry against the next one.' },
  host_not_ready: {
    code: 'unavailable',
    help: 'The host lacks something SoulBox needs. Run `soulbox doctor`; it names the fix.',
  },
  snapshot_not_found: { code: 'not_found', help: 'No snapshot of this id or name belongs to the team.' },
  event_not_found: { code: 'not_found', help: 'No event of this id.' },
  webhook_not_found: { code: 'not_found', help: 'No webhook of this id belongs to the team.' },
  function_not_found: { code: 'not_found', help: 'No function of this name belongs to the team.' },
  version_not_found: { code: 'not_found', help: 'The function has no such version, or none before the active one.' },
  secret_not_found: { code: 'not_found', help: 'The function has no secret of this name.' },
  namespace_not_found: { code: 'not_found', help: 'The team has no key-value namespace of this name.' },
  function_broken: {
    code: 'invalid_argument',
    help: "The function's code could not be started; the message is what its engine said. The version before goes on.",
  },
  already_paused: { code: 'already_exists', help: 'The sandbox is paused already.' },
  checkpoint_failed: {
    code: 'unavailable',
    help: 'The memory of the sandbox could not be saved; it goes on running. The message says what stood in the way.',
  },
  sandbox_resume_failed: {
    code: 'unavailable',
    help: 'The paused sandbox could not be brought back. It is paused: as it was; where its programs had run again, as they left it; and where that could not be saved, with its files only. The message says why.',
  },
  state_damaged: {
    code: 'data_loss',
    help: 'A saved state is incomplete or altered. Nothing was started from it; it is kept for inspection.',
  },
  backup_unusable: {
    code: 'failed_precondition',
    help: 'A backup is incomplete, damaged or of a newer SoulBox, or a restore was not completed; the message names the part.',
  },
  state_incompatible: {
    code: 'failed_precondition',
    help: 'A saved state was made by another format version, CPU type or isolation than this host has, or than was asked for.',
  },
  capability_missing: {
    code: 'unimplemented',
    help: 'The isolation of this sandbox cannot do this; the message names both.',
  },
  runtime_not_found: {
    code: 'invalid_argument',
    help: 'Nothing says which runtime runs it; the message names what was looked at. Name the language or the entry.',
  },
  runtime_not_installed: {
    code: 'failed_precondition',
    help: 'The sandbox lacks the runtime. The message names what it needs and the template that has it.',
  },
  dependencies_failed: {
    code: 'failed_precondition',
    help: 'The dependencies of a project could not be installed; the message ends with the last words of the installer.',
  },
  process_timeout: {
    code: 'deadline_exceeded',
    help: 'The process reached the time limit of its call and was killed.',
  },
  process_state: {
    code: 'internal',
    help: 'The process cannot take this: its input is closed, or it has no terminal.',
  },
  config_invalid: {
    code: 'invalid_argument',
    help: 'A configuration value is unknown, malformed or contradicts another; all faults are listed.',
  },
  internal: { code: 'internal', help: 'A fault of SoulBox. The server log has the details under the request id.' },
} as const satisfies Record<string, ReasonInfo>;

export type Reason = keyof typeof reasons;
