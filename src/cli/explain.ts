// What the configuration means for one principal and one repository, in words. Nobody is asked.
import { anonymousName, nobody } from '../access/principal.ts';
import { Rules } from '../access/rules.ts';
import type { Config, UpstreamConfig } from '../config/schema.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import { offlineUpstream } from '../upstream/offline-upstream.ts';
import { PathPolicy } from '../upstream/path-policy.ts';
import { Unlisted } from '../upstream/unlisted.ts';
import { Upstreams } from '../upstream/upstreams.ts';

export interface Explained {
  /** `anonymous` is who has no name. */
  readonly principal: string;
  /** As a client writes it; a tag or digest behind it does not matter. */
  readonly image: string;
}

interface Facts {
  readonly settings: UpstreamConfig;
  /** Where the settings stand: `upstreams.docker.io`. */
  readonly key: string;
  readonly objection: 'allow' | 'deny' | undefined;
  readonly effect: 'allow' | 'deny' | 'none';
  /** The mirror asks this client for credentials first. */
  readonly isChallenged: boolean;
}

const may = 'may be pulled';
const mayNot = 'may not be pulled';

/** Lines for a person. Throws `OciError` for what is no repository, or on a registry that is not configured. */
export function explain(config: Config, { principal, image }: Explained): string[] {
  const repository = route(config, image);
  const key = Object.hasOwn(config.upstreams, repository.registry) ? repository.registry : '*';
  const settings = config.upstreams[key];
  if (!settings) throw new Error(`there is no upstream for ${repository.registry}`);

  const isAnonymous = principal === anonymousName;
  const who = isAnonymous ? nobody : ({ name: principal, by: 'password' } as const);
  const { effect, rule } = new Rules(config.access.rules).decide(who, formatRepository(repository));
  const facts = {
    settings,
    key: `upstreams.${key}`,
    objection: new PathPolicy(settings).objection(repository.path),
    effect,
    isChallenged: isAnonymous && config.access.anonymous === 'none',
  };
  return [
    `principal:  ${isAnonymous ? 'anonymous, whoever has no name' : principal}`,
    `repository: ${formatRepository(repository)}`,
    `upstream:   ${describeUpstream(facts)}`,
    `paths:      ${describePaths(facts)}`,
    `rule:       ${describeRule(config, rule)}`,
    `anonymous:  ${describeAnonymous(config)}`,
    `public:     ${verdictOnPublic(facts)}`,
    `private:    ${verdictOnPrivate(facts)}`,
  ];
}

/** The way of a pull, to upstreams that are never asked; which paths they give is told apart from it. */
function route(config: Config, image: string): Repository {
  const { '*': unlisted, ...listed } = config.upstreams;
  const standIn = (name: string) => offlineUpstream({ name });
  const entries = Object.keys(listed).map((name) => ({ upstream: standIn(name) }));
  const others = unlisted && { registries: new Unlisted({ except: unlisted.except, open: standIn }) };
  const name = image.replace(/[:@][^/]*$/, '');
  return new Upstreams(entries, config.defaultUpstream, others).route(name, { ns: undefined, prefix: undefined })
    .repository;
}

function describeUpstream({ settings: { credentials, visibility }, key }: Facts): string {
  const meanings = {
    check: 'who is not allowed more sees what the upstream gives to everybody',
    public: 'everybody sees what the credentials can see',
    private: 'only who is allowed sees anything',
  };
  if (credentials || visibility === 'private')
    return `${key} is asked ${credentials ? 'with' : 'without'} credentials; visibility "${visibility}": ${meanings[visibility]}`;
  return `${key} is asked without credentials: what it gives is what it gives everybody`;
}

function describePaths({ settings, key, objection }: Facts): string {
  if (objection === 'deny') return `${key}.deny has a glob that matches it`;
  if (objection === 'allow') return `${key}.allow has no glob that matches it`;
  const given = [settings.allow && `${key}.allow`, settings.deny && `${key}.deny`].filter(Boolean);
  return given.length === 0 ? `every path of ${key} may be pulled` : `${given.join(' and ')} let it through`;
}

function describeRule({ access }: Config, index: number | undefined): string {
  const rule = index === undefined ? undefined : access.rules[index];
  if (!rule) return access.rules.length === 0 ? 'there are none' : `none of the ${access.rules.length} speaks of it`;
  const quoted = (texts: readonly string[]) => texts.map((text) => JSON.stringify(text)).join(', ');
  return `access.rules[${index}] decides: ${rule.effect} ${quoted(rule.principals)} on ${quoted(rule.repositories)}`;
}

function describeAnonymous({ access }: Config): string {
  return access.anonymous === 'none'
    ? 'access.anonymous is "none": whoever has no name is asked for credentials'
    : 'access.anonymous is "pull": nobody is asked for credentials';
}

function refusal({ key, objection, effect, isChallenged }: Facts): string | undefined {
  if (isChallenged) return `${mayNot}: access.anonymous is "none"`;
  if (objection) return `${mayNot}, by anybody: see ${key}.${objection}`;
  return effect === 'deny' ? `${mayNot}: the rule denies it` : undefined;
}

function verdictOnPublic(facts: Facts): string {
  const { settings, key, effect } = facts;
  const isShut = settings.visibility === 'private' && effect !== 'allow';
  return refusal(facts) ?? (isShut ? `${mayNot}: ${key} is private, and no rule allows it` : may);
}

function verdictOnPrivate(facts: Facts): string {
  const { settings, key, effect } = facts;
  const refused = refusal(facts);
  if (refused !== undefined) return refused;
  if (!settings.credentials) return `${mayNot}: ${key} has no credentials, so that the upstream does not give it`;
  if (effect === 'allow') return `${may}: the rule allows it`;
  if (settings.visibility === 'public') return `${may}: ${key}.visibility is "public"`;
  return `${mayNot}: no rule allows it`;
}
