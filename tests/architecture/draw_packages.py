"""Draw the chart of packages in docs/contributing/architecture.md (`make architecture`)."""

from __future__ import annotations

import grimp

from tests.architecture.package import PACKAGE, ROOT

DOCUMENT = ROOT / "docs" / "contributing" / "architecture.md"
BEGIN, END = "<!-- packages: begin -->\n", "<!-- packages: end -->\n"


def find_package_imports() -> dict[str, set[str]]:
    """Return the imports of each top-level package and module."""
    graph = grimp.build_graph("autonoma_ci")
    top_names = sorted(name for name in graph.modules if name.count(".") == 1)
    for name in top_names:
        if graph.find_children(name):
            graph.squash_module(name)
    return {
        name.partition(".")[2]: {
            other.partition(".")[2]
            for other in graph.find_modules_directly_imported_by(name)
            if other.count(".") == 1 and other != name
        }
        for name in top_names
    }


def drop_implied_imports(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """Remove the imports that follow from others, so that the chart is readable."""

    def find_reachable(start: str, skipped: str) -> set[str]:
        reached_names: set[str] = set()
        pending_names = [name for name in imports[start] if name != skipped]
        while pending_names:
            name = pending_names.pop()
            if name not in reached_names:
                reached_names.add(name)
                pending_names += imports[name]
        return reached_names

    return {
        name: {other for other in others if other not in find_reachable(name, other)}
        for name, others in imports.items()
    }


def count_modules(name: str) -> int:
    """Return the number of modules of a package, or 1 for a module.

    Empty `__init__` files do not count.
    """
    folder = PACKAGE / name
    return len([path for path in folder.rglob("*.py") if path.name != "__init__.py"]) if folder.is_dir() else 1


def render_chart() -> str:
    """Return the chart as a Mermaid code block."""
    imports = drop_implied_imports(find_package_imports())
    nodes = []
    for name in imports:
        modules = count_modules(name)
        nodes.append(f'    {name}["{name}<br>{modules} modules"]' if modules > 1 else f'    {name}["{name}.py"]')
    arrows = [f"    {name} --> {other}" for name, others in imports.items() for other in sorted(others)]
    return "```mermaid\n" + "\n".join(["flowchart TD", *nodes, *arrows]) + "\n```\n"


def insert_chart(document: str) -> str:
    """Insert the current chart between the markers of the document."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{render_chart()}{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(insert_chart(DOCUMENT.read_text("utf-8")), "utf-8")
