// Who may pull what: the keys under `access`.
import { z } from 'zod';
import { list, network, oneOf, section, text, url } from './fields.ts';

const issuer = section({
  issuer: url(['https', 'http']).describe('The issuer, exactly as in the token.'),
  audience: text().describe('The audience that the token must be for.'),
  claims: z
    .record(z.string(), text(), { error: 'an object of claim names and values' })
    .optional()
    .describe('Claims that must hold, each a text or a glob.'),
});

const client = section({
  cidr: network().describe('The network that the client comes from.'),
  principal: text().describe('The principal that the client then is.'),
});

const rule = section({
  effect: oneOf(['allow', 'deny']).describe('What the rule decides.'),
  principals: list(text(), 'a list of principals').describe(
    'Principals it speaks of; "*" is all, "anonymous" the rest.',
  ),
  repositories: list(text(), 'a list of globs').describe('Globs such as "docker.io/acme/**".'),
});

export const access = section({
  anonymous: oneOf(['pull', 'none'])
    .prefault('pull')
    .describe('What a client without a name may do; "none" makes the mirror ask for credentials.'),
  htpasswdFile: text().optional().describe('A file of user names and bcrypt hashes.'),
  tokensFile: text().optional().describe('A file of named tokens with scopes and expiry.'),
  oidc: list(issuer, 'a list of {issuer, audience, claims}')
    .optional()
    .describe('Issuers of CI identities to believe.'),
  networks: list(client, 'a list of {cidr, principal}').optional().describe('Principals by where a client comes from.'),
  rules: list(rule, 'a list of {effect, principals, repositories}')
    .prefault([])
    .describe('Rules in order, of which the first that matches decides.'),
});
