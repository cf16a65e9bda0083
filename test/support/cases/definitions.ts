import type { Call, Kit, RoomCases } from "./case.ts";

const nothing = { definitionId: "nobody" };
const noVersion = "9.9.9";

/** A draft at revision 1. */
const draft = async ({ make }: Kit) => {
  const { id, version } = await make.definition();
  return { definitionId: id as string, version: version as string };
};
/** Published and current, at revision 2. */
const published = async ({ make }: Kit) => {
  const { id, version } = await make.published();
  return { definitionId: id as string, version: version as string };
};
/** 1.0.0 is published, 2.0.0 is current. */
const superseded = async (kit: Kit) => {
  const { definitionId, version } = await published(kit);
  await kit.make.published({ metadata: { id: definitionId, version: "2.0.0" } });
  return { definitionId, version };
};
const only = ({ definitionId }: { definitionId: string }) => ({ definitionId });
const retired = async (kit: Kit) => {
  const params = await published(kit);
  await kit.service.delete(`/v1/definitions/${params.definitionId}`);
  return params;
};
const deleteDraft = ({ service }: Kit, { body = {} }: Call) => {
  const { id, version } = body.metadata as { id: string; version: string };
  return service.delete(`/v1/definitions/${id}/versions/${version}`);
};
const stale = { "If-Match": '"999"' };
const another = (call: Call, version: string): Call => ({
  ...call,
  params: { ...call.params, version },
});

export const definitions: RoomCases = {
  "definitions-create": {
    success: async ({ make }) => ({ body: make.document() }),
    makeRoom: deleteDraft,
    errors: {
      version_immutable: async (kit) => {
        const { definitionId: id } = await published(kit);
        return { body: kit.make.document({ metadata: { id, name: "another" } }) };
      },
      definition_kind_mismatch: async (kit) => {
        const { definitionId: id } = await published(kit);
        return { body: kit.make.team({ metadata: { id, version: "2.0.0" } }) };
      },
      definition_retired: async (kit) => {
        const { definitionId: id } = await retired(kit);
        return { body: kit.make.document({ metadata: { id, version: "2.0.0" } }) };
      },
    },
  },
  "definitions-import": {
    success: async ({ make }) => ({ body: make.document(), headers: { "content-type": "application/yaml" } }),
    makeRoom: deleteDraft,
    errors: {},
  },
  "definitions-list": {
    success: async ({ make }) => {
      await make.definition({ metadata: { tags: ["qa"] } });
      await make.definition({ metadata: { tags: ["qa"] } });
      return { query: { kind: "Agent", status: "DRAFT", tag: "qa", q: "agent", pageSize: "1" } };
    },
    errors: {},
  },
  "definitions-get": {
    success: async (kit) => ({ params: only(await published(kit)) }),
    errors: {
      definition_not_found: async () => ({ params: nothing }),
      version_not_found: async (kit) => ({ params: only(await draft(kit)) }),
    },
  },
  "definitions-versions": {
    success: async (kit) => ({ params: only(await superseded(kit)), query: { pageSize: "1" } }),
    errors: { definition_not_found: async () => ({ params: nothing }) },
  },
  "definitions-patch": {
    success: async (kit) => ({
      params: only(await published(kit)),
      query: { reason: "a try" },
      body: { config: { maxParallelTasks: 9 } },
    }),
    makeRoom: async ({ service }, { params }) =>
      service.delete(`/v1/definitions/${params?.definitionId}/versions/1.0.1`),
    errors: {
      definition_not_found: async () => ({ params: nothing, body: {} }),
      version_exists: async (kit) => ({
        params: only(await superseded(kit)),
        query: { version: "1.0.0" },
        body: { metadata: { name: "another" } },
      }),
      member_unresolved: async (kit) => {
        const { definitionId: id } = await published(kit);
        const team = await kit.make.published(kit.make.team({ members: [{ id }] }));
        return {
          params: { definitionId: team.id },
          query: { publish: "true" },
          body: { members: [{ id, version: "^9.0.0" }] },
        };
      },
      definition_retired: async (kit) => ({
        params: only(await retired(kit)),
        body: { metadata: { name: "another" } },
      }),
      revision_mismatch: async (kit) => ({
        params: only(await published(kit)),
        body: { metadata: { name: "another" } },
        headers: stale,
      }),
    },
  },
  "definitions-publish": {
    success: async (kit) => ({ params: await draft(kit), body: { reason: "reviewed" } }),
    errors: {
      definition_not_found: async () => ({ params: { ...nothing, version: noVersion }, body: {} }),
      version_not_found: async (kit) => another({ params: await draft(kit), body: {} }, noVersion),
      version_immutable: async (kit) => {
        const params = await superseded(kit);
        await kit.service.post(`/v1/definitions/${params.definitionId}/versions/${params.version}/deprecate`, {});
        return { params, body: {} };
      },
      member_unresolved: async ({ make }) => {
        const { id, version } = await make.definition(make.team({ members: [{ id: "nobody" }] }));
        return { params: { definitionId: id, version }, body: {} };
      },
      revision_mismatch: async (kit) => ({ params: await draft(kit), body: {}, headers: stale }),
    },
  },
  "definitions-activate": {
    success: async (kit) => ({ params: await superseded(kit), body: { reason: "rollback" } }),
    errors: {
      definition_not_found: async () => ({ params: { ...nothing, version: noVersion }, body: {} }),
      version_not_found: async (kit) => another({ params: await published(kit), body: {} }, noVersion),
      version_not_published: async (kit) => ({ params: await draft(kit), body: {} }),
      member_unresolved: async (kit) => {
        const member = only(await published(kit));
        const { id } = await kit.make.published(kit.make.team({ members: [{ id: member.definitionId }] }));
        await kit.service.delete(`/v1/definitions/${id}`);
        await kit.service.delete(`/v1/definitions/${member.definitionId}`);
        return { params: { definitionId: id as string, version: "1.0.0" }, body: {} };
      },
      revision_mismatch: async (kit) => ({ params: await superseded(kit), body: {}, headers: stale }),
    },
  },
  "definitions-deprecate": {
    success: async (kit) => ({ params: await superseded(kit), body: { reason: "out of date" } }),
    errors: {
      definition_not_found: async () => ({ params: { ...nothing, version: noVersion }, body: {} }),
      version_not_found: async (kit) => another({ params: await published(kit), body: {} }, noVersion),
      version_not_published: async (kit) => ({ params: await draft(kit), body: {} }),
      version_current: async (kit) => ({ params: await published(kit), body: {} }),
      revision_mismatch: async (kit) => ({ params: await superseded(kit), body: {}, headers: stale }),
    },
  },
  "definitions-diff": {
    success: async (kit) => ({ params: only(await superseded(kit)), query: { from: "1.0.0" } }),
    errors: {
      definition_not_found: async () => ({ params: nothing }),
      version_not_found: async (kit) => ({ params: only(await published(kit)), query: { to: noVersion } }),
    },
  },
  "definitions-export": {
    success: async (kit) => ({ params: only(await published(kit)) }),
    errors: {
      definition_not_found: async () => ({ params: nothing }),
      version_not_found: async (kit) => ({ params: only(await draft(kit)) }),
    },
  },
  "definitions-history": {
    success: async (kit) => ({ params: only(await superseded(kit)), query: { pageSize: "2" } }),
    errors: { definition_not_found: async () => ({ params: nothing }) },
  },
  "definitions-delete-version": {
    success: async (kit) => {
      const { definitionId } = await published(kit);
      await kit.make.definition({ metadata: { id: definitionId, version: "2.0.0" } });
      return { params: { definitionId, version: "2.0.0" }, query: { reason: "a mistake" } };
    },
    errors: {
      definition_not_found: async () => ({ params: { ...nothing, version: noVersion } }),
      version_not_found: async (kit) => another({ params: await draft(kit) }, noVersion),
      version_immutable: async (kit) => ({ params: await published(kit) }),
      revision_mismatch: async (kit) => ({ params: await draft(kit), headers: stale }),
    },
  },
  "definitions-retire": {
    success: async (kit) => ({ params: only(await published(kit)), query: { reason: "replaced" } }),
    errors: {
      definition_not_found: async () => ({ params: nothing }),
      definition_in_use: async (kit) => {
        const params = only(await published(kit));
        await kit.make.published(kit.make.team({ members: [{ id: params.definitionId }] }));
        return { params };
      },
      revision_mismatch: async (kit) => ({ params: only(await published(kit)), headers: stale }),
    },
  },
};
