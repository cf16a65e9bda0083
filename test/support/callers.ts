import { afterAll, beforeAll, beforeEach } from "vitest";
import { makeApiKey } from "../../shared/auth/api-keys.ts";
import { client } from "./client.ts";
import { AUDIENCE, type FakeIssuer, startIssuer } from "./issuer.ts";
import { type Service, startService, useService } from "./service.ts";

/** Who calls in these tests; what each is registered as. */
const registered = {
  agent: { role: "agent", team: "sales", addresses: ["*"] },
  operator: { role: "operator", team: "sales", addresses: ["*"] },
  admin: { role: "admin", team: undefined, addresses: [] },
  /** Speaks for one family of addresses, of which no test makes any. */
  foreignAgent: { role: "agent", team: "elsewhere", addresses: ["elsewhere-*@other.example"] },
  foreignOperator: { role: "operator", team: "elsewhere", addresses: ["elsewhere-*@other.example"] },
} as const;
export type CallerName = keyof typeof registered;

const keys = Object.fromEntries(
  Object.keys(registered).map((name, n) => {
    const keyId = `00000000-0000-7000-8000-00000000000${n}`;
    return [name, { keyId, ...makeApiKey(keyId) }];
  }),
) as Record<CallerName, ReturnType<typeof makeApiKey> & { keyId: string }>;

const SYSTEM_ACCOUNT = "system";

/** A service that asks for credentials, and callers who have some. */
export interface GuardedService {
  /** Requests bear an administrator's key unless they say otherwise. */
  service: Service;
  issuer: FakeIssuer;
  /** The headers by which a caller says who it is. */
  key(name: CallerName): Record<string, string>;
  /** Of an account that the configuration names as a system account. */
  systemToken(): Promise<Record<string, string>>;
}

/** For every test of a file; callers are registered anew before each. */
export function useGuardedService(env: Record<string, string> = {}): GuardedService {
  const holder: { issuer?: FakeIssuer; down?: () => Promise<void> } = {};
  beforeAll(async () => {
    holder.issuer = await startIssuer((down) => {
      holder.down = down;
    });
  });
  const service = useService(() => ({ ...guardedEnv(holder.issuer as FakeIssuer), ...env }), asAdmin);
  beforeEach(() => register(service));
  afterAll(() => holder.down?.());
  return {
    service,
    get issuer() {
      return holder.issuer as FakeIssuer;
    },
    key: keyOf,
    systemToken: async () => ({ authorization: `Bearer ${await holder.issuer?.mint({ sub: SYSTEM_ACCOUNT })}` }),
  };
}

/** A second process of the same service. */
export async function startSecond({ service, issuer }: GuardedService): Promise<Service> {
  return asAdmin(await startService(guardedEnv(issuer), { url: service.databaseUrl, drop: async () => {} }));
}

function keyOf(name: CallerName): Record<string, string> {
  return { "x-cams-key": keys[name].key };
}

function guardedEnv(issuer: FakeIssuer): Record<string, string> {
  return {
    AUTH_MODE: "oidc",
    AUTH_ISSUERS: issuer.url,
    AUTH_AUDIENCES: AUDIENCE,
    AUTH_SYSTEM_ACCOUNTS: `${issuer.url.replace("http://", "")}|${SYSTEM_ACCOUNT}`,
    RATE_LIMIT_PER_MINUTE: "0",
  };
}

function asAdmin(service: Service): Service {
  return { ...service, ...client(service.url, keyOf("admin")) };
}

async function register(service: Service): Promise<void> {
  for (const [name, { role, team, addresses }] of Object.entries(registered)) {
    await service.sql(
      `insert into cams.principals (principal_id, role, team, addresses, created_at, updated_at, updated_by)
       values ($1, $2, $3, $4, now(), now(), 'test')`,
      [name, role, team, addresses],
    );
    const { keyId, hash } = keys[name as CallerName];
    await service.sql(
      `insert into cams.api_keys (key_id, principal_id, secret_hash, created_at, created_by)
       values ($1, $2, $3, now(), 'test')`,
      [keyId, name, hash],
    );
  }
}
