import type { RoomCases } from "./case.ts";

const nobody = { principalId: "nobody@corp.example" };
const noKey = "00000000-0000-7000-8000-000000000000";

type Prepare = RoomCases[string]["success"];

/** At revision 1, without a key. */
const registered = async ({ make }: Parameters<Prepare>[0]) => {
  const { principalId } = await make.principal();
  return { principalId };
};

export const principals: RoomCases = {
  "principals-put": {
    success: async (kit) => ({
      params: await registered(kit),
      body: { role: "operator", team: "sales", addresses: ["sales-*@corp.example"] },
    }),
    errors: {
      revision_mismatch: async (kit) => ({
        params: await registered(kit),
        body: { role: "admin" },
        headers: { "If-Match": '"2"' },
      }),
    },
  },
  "principals-get": {
    success: async (kit) => {
      const params = await registered(kit);
      await kit.make.key(params.principalId, { description: "of the nightly job", addresses: ["a@corp.example"] });
      return { params };
    },
    errors: { principal_not_found: async () => ({ params: nobody }) },
  },
  "principals-list": {
    success: async ({ make }) => {
      await make.principal({ role: "operator", team: "sales" });
      await make.principal({ role: "operator", team: "sales" });
      return { query: { role: "operator", team: "sales", pageSize: "1" } };
    },
    errors: {},
  },
  "principals-delete": {
    success: async (kit) => ({ params: await registered(kit) }),
    errors: {
      principal_not_found: async () => ({ params: nobody }),
      revision_mismatch: async (kit) => ({ params: await registered(kit), headers: { "If-Match": '"2"' } }),
    },
  },
  "principals-create-key": {
    success: async (kit) => ({
      params: await registered(kit),
      body: { description: "of the nightly job", addresses: ["a@corp.example"], expiresAt: "2126-01-01T00:00:00Z" },
    }),
    errors: {
      principal_not_found: async () => ({ params: nobody, body: {} }),
      too_many_keys: async (kit) => {
        const params = await registered(kit);
        await kit.service.sql(
          `insert into cams.api_keys (key_id, principal_id, secret_hash, created_at, created_by)
           select cams.uuid7(now()), $1, sha256('x'), now(), 'test' from generate_series(1, 100)`,
          [params.principalId],
        );
        return { params, body: {} };
      },
    },
  },
  "principals-revoke-key": {
    success: async (kit) => {
      const { principalId } = await registered(kit);
      const { keyId } = await kit.make.key(principalId);
      return { params: { principalId, keyId } };
    },
    errors: {
      principal_not_found: async () => ({ params: { ...nobody, keyId: noKey } }),
      key_not_found: async (kit) => ({ params: { ...(await registered(kit)), keyId: noKey } }),
    },
  },
};
