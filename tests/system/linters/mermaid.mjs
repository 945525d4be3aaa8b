// Reads a JSON array of Mermaid gantt charts on standard input and prints the tasks that Mermaid finds in each, as JSON.
// A chart that Mermaid can't read is named on standard error, with an exit code of 1.
import { text } from "node:stream/consumers";
import mermaid from "mermaid";

mermaid.initialize({ securityLevel: "strict" });
const found = [];
for (const [place, chart] of JSON.parse(await text(process.stdin)).entries()) {
  try {
    const diagram = await mermaid.mermaidAPI.getDiagramFromText(chart);
    found.push(diagram.db.getTasks().map(({ task, startTime, endTime }) => [task, Number(startTime), Number(endTime)]));
  } catch (error) {
    console.error(`chart ${place} can't be read: ${error.message}\n${chart}`);
    process.exitCode = 1;
  }
}
console.log(JSON.stringify(found));
