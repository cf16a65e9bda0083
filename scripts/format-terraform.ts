import { spawnSync } from "node:child_process";

/** Checks that Terraform's files are formatted as `terraform fmt` does it; without terraform there is nothing to ask. */
const { error, status } = spawnSync("terraform", ["fmt", "-check", "-diff", "-recursive", "terraform"], {
  stdio: ["ignore", "inherit", "inherit"],
});
if (error) console.log("terraform fmt is skipped: there is no terraform");
else process.exitCode = status ?? 1;
