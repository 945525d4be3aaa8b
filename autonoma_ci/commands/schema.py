"""`autonoma-ci schema`: print the manifest's JSON Schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from autonoma_ci.commandline import Parser
from autonoma_ci.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autonoma_ci.commands.world import World


def main(argv: Sequence[str], world: World) -> int:
    """Print the schema and return 0."""
    _, unknown = Parser("schema", "Print the JSON Schema of the manifest, for editors.", world.out).read(argv)
    if unknown:
        raise InputError(unknown)
    from autonoma_ci.manifest.schema import json_schema

    world.out.write(json.dumps(json_schema(), indent=2) + "\n")
    return 0
