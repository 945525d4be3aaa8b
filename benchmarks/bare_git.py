"""A minimal script that lists the changed files with the program git."""

import subprocess
import sys


def run_git(*arguments: str) -> str:
    """Return the output of a git command."""
    return subprocess.run(["git", "-C", sys.argv[1], *arguments], check=True, capture_output=True, text=True).stdout


base = run_git("merge-base", "HEAD", "origin/main").strip()
print(len(run_git("diff", "--name-only", "-z", "--no-renames", base, "HEAD").split("\0")) - 1)
