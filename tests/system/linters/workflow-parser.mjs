// Checks actions and workflows named as arguments with GitHub's own parser, which reads by the schema of its service.
// A file called action.yml or action.yaml is an action, as it is for GitHub; any other is a workflow.
import { register } from "node:module";
import { basename } from "node:path";
import { lint } from "./report.mjs";

register("./json-modules.mjs", import.meta.url);
const { convertWorkflowTemplate, NoOperationTraceWriter, parseWorkflow } = await import("@actions/workflow-parser");
const { convertActionTemplate, parseAction } = await import("@actions/workflow-parser/actions/index");

const trace = new NoOperationTraceWriter();

await lint("workflow-parser", async (file, text) => {
  const source = { name: file, content: text };
  const isAction = /^action\.ya?ml$/.test(basename(file));
  const { context, value } = isAction ? parseAction(source, trace) : parseWorkflow(source, trace);
  if (value) {
    // The schema says which keys there may be; the conversion also reads conditions and needs between jobs.
    await (isAction ? convertActionTemplate(context, value) : convertWorkflowTemplate(context, value));
  }
  return context.errors.getErrors().map(({ range, rawMessage }) => ({
    line: range?.start.line ?? 1,
    column: range?.start.column ?? 1,
    message: rawMessage,
  }));
});
