// What we show a registry, or its token server, to be more than anonymous.

export interface PasswordCredentials {
  readonly username: string;
  readonly password: string;
}

/** What a login without a password leaves behind: only a token server takes it, as an OAuth2 refresh token. */
export interface IdentityToken {
  readonly identityToken: string;
}

export type Credentials = PasswordCredentials | IdentityToken;

/** Where credentials come from, as the configuration says it. */
export type CredentialsSetting =
  | PasswordCredentials
  | readonly PasswordCredentials[]
  /** The path of a Docker config.json. */
  | { readonly dockerConfig: string }
  /** A Docker credential helper, without its docker-credential- prefix. */
  | { readonly helper: string }
  /** A command and its arguments. */
  | { readonly exec: readonly string[] };

export function basicAuthorization({ username, password }: PasswordCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

export function sameCredentials(one: Credentials, other: Credentials): boolean {
  if ('identityToken' in one || 'identityToken' in other)
    return 'identityToken' in one && 'identityToken' in other && one.identityToken === other.identityToken;
  return one.username === other.username && one.password === other.password;
}
