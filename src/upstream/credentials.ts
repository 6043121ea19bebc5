// What we show a registry, or its token server, to be more than anonymous.

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export function basicAuthorization({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}
