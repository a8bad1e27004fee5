import { MountSchema } from './mount.js'
import {
  base64,
  flag,
  int,
  int64,
  list,
  nanoseconds,
  stringMap,
  struct,
  text,
  texts,
  uint32,
  word,
  type Spec,
} from './schema.js'

export const HealthConfigSchema = struct('HealthConfig', {
  Test: texts(
    '`NONE`, `CMD` with arguments, or `CMD-SHELL` with a command line. Empty takes the one of the image.',
  ),
  Interval: nanoseconds('Time between two checks.'),
  Timeout: nanoseconds('Time after which a check counts as failed.'),
  StartPeriod: nanoseconds('Time in which failures do not count yet.'),
  StartInterval: nanoseconds('Time between two checks during the start period.'),
  Retries: int('Failures in a row that make the container unhealthy.'),
})
export type HealthConfig = Spec<typeof HealthConfigSchema>

export const CredentialSpecSchema = struct('CredentialSpec', {
  Config: text('ID of the config that holds the credential spec.', 'always'),
  File: text('File below the engine’s root.', 'always'),
  Registry: text('Value in the Windows registry.', 'always'),
})

export const SELinuxContextSchema = struct('SELinuxContext', {
  Disable: flag(undefined, 'always'),
  User: text(undefined, 'always'),
  Role: text(undefined, 'always'),
  Type: text(undefined, 'always'),
  Level: text(undefined, 'always'),
})

export const SeccompOptsSchema = struct('SeccompOpts', {
  Mode: word(['default', 'unconfined', 'custom']),
  Profile: base64('The profile itself, for mode `custom`.'),
})

export const AppArmorOptsSchema = struct('AppArmorOpts', { Mode: word(['default', 'disabled']) })

export const PrivilegesSchema = struct('Privileges', {
  CredentialSpec: CredentialSpecSchema,
  SELinuxContext: SELinuxContextSchema,
  Seccomp: SeccompOptsSchema,
  AppArmor: AppArmorOptsSchema,
  NoNewPrivileges: flag(undefined, 'always'),
})
export type Privileges = Spec<typeof PrivilegesSchema>

export const DNSConfigSchema = struct('DNSConfig', {
  Nameservers: texts('Addresses of name servers.'),
  Search: texts('Search domains.'),
  Options: texts('Resolver options such as `ndots:1`.'),
})

export const SecretReferenceFileTargetSchema = struct('SecretReferenceFileTarget', {
  Name: text('File name, below `/run/secrets` unless absolute.', 'always'),
  UID: text('Owner of the file.', 'always'),
  GID: text('Group of the file.', 'always'),
  Mode: uint32('Permission bits.', 'always'),
})

export const SecretReferenceSchema = struct('SecretReference', {
  File: SecretReferenceFileTargetSchema,
  SecretID: text(undefined, 'always'),
  SecretName: text(undefined, 'always'),
})
export type SecretReference = Spec<typeof SecretReferenceSchema>

export const ConfigReferenceFileTargetSchema = struct('ConfigReferenceFileTarget', {
  Name: text('File name, below `/` unless absolute.', 'always'),
  UID: text('Owner of the file.', 'always'),
  GID: text('Group of the file.', 'always'),
  Mode: uint32('Permission bits.', 'always'),
})

export const ConfigReferenceRuntimeTargetSchema = struct(
  'ConfigReferenceRuntimeTarget',
  {},
  { description: 'Marks a config that the engine uses itself instead of mounting it.' },
)

export const ConfigReferenceSchema = struct('ConfigReference', {
  File: ConfigReferenceFileTargetSchema,
  Runtime: ConfigReferenceRuntimeTargetSchema,
  ConfigID: text(undefined, 'always'),
  ConfigName: text(undefined, 'always'),
})
export type ConfigReference = Spec<typeof ConfigReferenceSchema>

export const UlimitSchema = struct('Ulimit', {
  Name: text('Name of the limit, such as `nofile`.', 'always'),
  Hard: int64(undefined, 'always'),
  Soft: int64(undefined, 'always'),
})

export const ContainerSpecSchema = struct('ContainerSpec', {
  Image: text('Reference of the image.'),
  Labels: stringMap('Labels of the containers.'),
  Command: texts('Takes the place of the image’s entrypoint.'),
  Args: texts('Arguments of the command.'),
  Hostname: text('Host name inside the container. May be a template.'),
  Env: texts('`NAME=value` each. Values may be templates.'),
  Dir: text('Working directory.'),
  User: text('User inside the container.'),
  Groups: texts('More groups that the user belongs to.'),
  Privileges: PrivilegesSchema,
  Init: flag('Runs an init process as PID 1. Absent leaves it to the engine.', 'pointer'),
  StopSignal: text('Signal that asks the container to stop.'),
  TTY: flag(),
  OpenStdin: flag(),
  ReadOnly: flag('Makes the root file system read-only.'),
  Mounts: list(MountSchema),
  StopGracePeriod: nanoseconds('Time between the stop signal and the kill.', 'pointer'),
  Healthcheck: HealthConfigSchema,
  Hosts: texts('Lines for `/etc/hosts`: `IP name [alias...]`.'),
  DNSConfig: DNSConfigSchema,
  Secrets: list(SecretReferenceSchema),
  Configs: list(ConfigReferenceSchema),
  Isolation: word(['default', 'process', 'hyperv']),
  Sysctls: stringMap('Kernel parameters of the container’s namespaces.'),
  CapabilityAdd: texts(),
  CapabilityDrop: texts(),
  Ulimits: list(UlimitSchema),
  OomScoreAdj: int64('From -1000 to 1000.'),
})
export type ContainerSpec = Spec<typeof ContainerSpecSchema>
