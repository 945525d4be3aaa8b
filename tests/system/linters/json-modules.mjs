// A loader hook: the parser imports its schemas as JSON without the import attribute that Node.js asks for.
import { readFile } from "node:fs/promises";

export async function load(url, context, nextLoad) {
  if (!url.endsWith(".json")) {
    return nextLoad(url, context);
  }
  return { format: "module", source: `export default ${await readFile(new URL(url), "utf8")}`, shortCircuit: true };
}
