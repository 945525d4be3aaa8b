// Prints the variables of the file that is named, as npm's dotenv reads them: NAME=value with a zero byte behind each.
import { readFileSync } from "node:fs";
import dotenv from "dotenv";

for (const [name, value] of Object.entries(dotenv.parse(readFileSync(process.argv[2])))) {
  process.stdout.write(`${name}=${value}\0`);
}
