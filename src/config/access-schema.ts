// Who may pull what: the keys under `access`.
import { z } from 'zod';
import { list, network, oneOf, section, text, url } from './fields.ts';

const ofSomebody = 'the name of a principal, other than "anonymous" and without "*"';

function principal() {
  return text(ofSomebody).refine((name) => !/^anonymous$/i.test(name) && !name.includes('*'), { error: ofSomebody });
}

const listed = 'a principal or a glob; who has no name is "anonymous", in lower case';

const issuer = section({
  issuer: url(['https', 'http']).describe('The issuer, exactly as in the token.'),
  audience: text().describe('The audience that the token must be for.'),
  claims: z
    .record(z.string(), text(), { error: 'an object of claim names and values' })
    .optional()
    .describe('Claims that must hold, each a text or a glob.'),
  principal: principal().optional().describe("The principal that such a job then is; the token's subject by default."),
});

const client = section({
  cidr: network().describe('The network that the client comes from.'),
  principal: principal().describe('The principal that the client then is.'),
});

const rule = section({
  effect: oneOf(['allow', 'deny']).describe('What the rule decides.'),
  principals: list(
    text().refine((name) => name === 'anonymous' || name.toLowerCase() !== 'anonymous', { error: listed }),
    'a list of principals',
  ).describe('Principals it speaks of, each a name or a glob; "anonymous" is who has no name, "*" everybody.'),
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
