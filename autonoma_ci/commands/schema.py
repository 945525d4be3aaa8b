"""`autonoma-ci schema` prints the JSON Schema of a file format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonoma_ci.config.arguments import ArgumentParser
from autonoma_ci.errors import InputError
from autonoma_ci.streams import write_product

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.app.runtime import Runtime


def main(argv: Sequence[str], runtime: Runtime) -> int:
    """Print the schema and return 0.

    Raises:
        InputError: The command line is wrong.
        OutputError: The schema could not be printed.

    """
    parser = ArgumentParser(
        "schema", "Print the JSON Schema of the manifest or of results.json, for example for an editor.", runtime.out
    )
    parser.add_argument(
        "of", nargs="?", default="manifest", metavar="NAME", help="manifest or results. Default: manifest."
    )
    parser.example = "autonoma-ci schema > autonoma.schema.json"
    arguments = parser.parse(argv)
    if arguments.of == "manifest":
        from autonoma_ci.manifest.schema import manifest_json_schema as json_schema
    elif arguments.of == "results":
        from autonoma_ci.reports.results_schema import results_json_schema as json_schema
    else:
        raise InputError(["Unknown schema. Use manifest or results."])
    write_product(runtime.out, json.dumps(json_schema(), indent=2) + "\n")
    return 0
