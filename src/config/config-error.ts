// The one exception for a configuration that cannot be used; the program leaves with exit code 2 on it.

/** The message is one line for a person, names the key path, and never holds a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
