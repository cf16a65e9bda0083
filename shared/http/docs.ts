import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

const page = (document: string, script: string) => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; worker-src blob:">
<title>CAMS API</title>
<style>body { margin: 0 }</style>
</head>
<body>
<div id="api"></div>
<script>${script}</script>
<script>Redoc.init(${document}, { hideDownloadButton: true, disableSearch: true, nativeScrollbars: true }, document.getElementById("api"));</script>
</body>
</html>
`;

/** The description as one self-contained page: no script, style or font comes from anywhere else. */
export async function documentationPage(document: unknown): Promise<string> {
  const bundle = createRequire(import.meta.url).resolve("#redoc");
  return page(inline(JSON.stringify(document)), inline(await readFile(bundle, "utf8")));
}

/** Script text as it may stand inside HTML: nothing in it ends the element. */
function inline(script: string): string {
  return script.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
}
