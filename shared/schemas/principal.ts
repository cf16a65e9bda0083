import * as z from "zod";
import { Page, pageOf, prose, Timestamp, TimestampInput, text, Uuid } from "./common.ts";

const RESERVED = ["cams", "local", "anonymous", "scheduler"];

/**
 * The id of a principal: a verified e-mail address of Google's, `<issuer>|<subject>` of any other issuer, or a name for
 * whoever has only keys. One without `|` is folded to lower case.
 */
export const PrincipalId = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[!-~]+$/, "must be printable ASCII without white space")
  .refine((value) => value !== "." && value !== "..", "must not be . or ..")
  .transform((value) => (value.includes("|") ? value : value.toLowerCase()))
  .refine((value) => !RESERVED.includes(value), "is reserved for the system")
  .meta({
    id: "PrincipalId",
    description:
      "A Google account's e-mail address, `<issuer>|<subject>` with another issuer, or a name for whoever has only keys.",
    example: "sales-agents@project.iam.gserviceaccount.com",
  });

/** Addresses a caller speaks for, as `AiAgentAddress` but for `*`, which stands for any characters. */
export const AddressPattern = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\s/?#%\p{C}\p{Z}]+$/u, "must be printable, without white space and none of / ? # %")
  .transform((value) => value.normalize("NFC").toLowerCase().normalize("NFC"))
  .refine((value) => value.length <= 255, "must be at most 255 characters in canonical form")
  .meta({
    id: "AddressPattern",
    description: "An address; `*` stands for any characters.",
    example: "sales-*@corp.example",
  });
const addresses = z.array(AddressPattern).max(100);

export const PrincipalRole = z.enum(["agent", "operator", "admin"]).meta({
  id: "PrincipalRole",
  description: "`agent` acts for its addresses, `operator` for what its team owns too, `admin` for everything.",
});
const team = text(255);

export const PrincipalPath = z.strictObject({ principalId: PrincipalId });
export const KeyPath = z.strictObject({ principalId: PrincipalId, keyId: Uuid });

/** What a principal is to be; what is not given is not left as it was but empty. */
export const PrincipalToPut = z
  .strictObject({ role: PrincipalRole, team: team.optional(), addresses: addresses.default([]) })
  .meta({ id: "PrincipalToPut" });

export const ApiKey = z
  .strictObject({
    keyId: z.guid(),
    description: z.string().optional(),
    addresses: z.array(z.string()).optional().meta({ description: "The addresses it is limited to." }),
    expiresAt: Timestamp.optional(),
    createdAt: Timestamp,
    createdBy: z.string(),
  })
  .meta({ id: "ApiKey" });

export const ApiKeyToCreate = z
  .strictObject({
    description: prose(1000).optional(),
    addresses: addresses.min(1).optional().meta({
      description:
        "Limits the key: it speaks for no other address, and only as an `agent`, whatever the principal's role.",
    }),
    expiresAt: TimestampInput.optional().meta({ description: "Its end; without, it is good until revoked." }),
  })
  .meta({ id: "ApiKeyToCreate" });
/** A key as its maker gets it. */
export const ApiKeyWithSecret = ApiKey.extend({
  principalId: z.string(),
  key: z.string().optional().meta({ description: "The key itself, for `X-Cams-Key`; shown this once." }),
}).meta({ id: "ApiKeyWithSecret" });

export const Principal = z
  .strictObject({
    principalId: z.string(),
    role: PrincipalRole,
    team: z.string().optional(),
    addresses: z.array(z.string()),
    createdAt: Timestamp,
    updatedAt: Timestamp,
    updatedBy: z.string(),
    revision: z.int().meta({ description: "Counts changes, those of its keys included." }),
  })
  .meta({ id: "Principal" });
export const PrincipalWithKeys = Principal.extend({ keys: z.array(ApiKey) }).meta({ id: "PrincipalWithKeys" });

export const PrincipalFilter = z.strictObject({ role: PrincipalRole.optional(), team: team.optional(), ...Page });
export const PrincipalPage = pageOf(Principal);
