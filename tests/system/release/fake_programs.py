"""Fake programs of the release simulator, which store their effects as JSON.

The variable SIMULATOR_STATE is the path of a JSON file. It has the registry's images (`manifests`, `tags`), the
releases and the signed images. A command in `commands_to_fail` fails once. The registry adds `extra_manifests` to its
response for an index. For a tag in `replaced_digests`, it responds with another digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

_STATE = Path(os.environ["SIMULATOR_STATE"])
HOST_KEYS = ["ssh-ed25519 AAAAhost1", "ecdsa-sha2-nistp256 AAAAhost2"]


def docker(state: dict[str, Any], *arguments: str) -> str:
    match arguments:
        case ["login", *_] | ["buildx", "create", *_]:
            return ""
        case ["buildx", "build", *options]:
            platform = options[options.index("--platform") + 1]
            digest = _digest(platform, os.environ["GITHUB_SHA"])
            state["manifests"][digest] = {"architecture": platform.removeprefix("linux/")}
            metadata = Path(options[options.index("--metadata-file") + 1])
            metadata.write_text(json.dumps({"containerimage.digest": digest}))
            return ""
        case ["buildx", "imagetools", "create", "--tag", tag, *rest]:
            state["tags"][tag] = _join_images(state, [_find_digest(state, image) for image in rest if "@" in image])
            return ""
        case ["buildx", "imagetools", "inspect", tag, "--format", "{{json .Manifest}}"]:
            if tag not in state["tags"]:
                raise SystemExit(f"ERROR: {tag}: not found")
            digest = state["replaced_digests"].get(tag, state["tags"][tag])
            parts = state["manifests"][digest]["parts"]
            manifests = [{"digest": part, "platform": state["manifests"][part]} for part in parts]
            return json.dumps({"digest": digest, "manifests": manifests + state["extra_manifests"]})
        case ["run", "--rm", image, *rest]:
            _find_digest(state, image)
            return f"autonoma-ci {os.environ['VERSION']}" if rest == ["--version"] else ""
    raise SystemExit(f"docker: {arguments}")


def gh(state: dict[str, Any], *arguments: str) -> str:
    match arguments:
        case ["api", "meta", "--jq", query]:
            return _apply_jq({"ssh_keys": HOST_KEYS}, query)
        case ["api", path, "--jq", query] if "/releases/tags/" in path:
            return _apply_jq(state["releases"][path.rpartition("/")[2]], query)
        case ["api", path, "--jq", query]:
            [prefix] = re.findall(r"/matching-refs/(.+)", path)
            command = ["git", "ls-remote", "--refs", "origin", f"refs/{prefix}*"]
            names = re.findall(r"\t(.+)", subprocess.check_output(command, text=True))
            return _apply_jq([{"ref": name} for name in names], query)
        case ["run", "list", *_, "--commit", commit, "--status", "success", "--json", "databaseId", "--jq", query]:
            return _apply_jq([{"databaseId": 1}] if commit in state["passed"] else [], query)
        case ["release", "list", *_, "--jq", query]:
            return _apply_jq([{"tagName": tag, **release} for tag, release in state["releases"].items()], query)
        case ["release", "create", tag, "--draft", "--verify-tag", *_]:
            state["releases"].setdefault(tag, {"isDraft": True, "assets": []})
            return ""
        case ["release", "upload", tag, "--clobber", "--", *files] if state["releases"][tag]["isDraft"]:
            state["releases"][tag]["assets"] = files
            return ""
        case ["release", "edit", tag, "--draft=false", latest]:
            state["releases"][tag].update(isDraft=False, immutable=state["immutable"], latest=latest == "--latest=true")
            return ""
    raise SystemExit(f"gh: {arguments}")


def cosign(state: dict[str, Any], *arguments: str) -> str:
    state["signed"].append(_find_digest(state, arguments[-1]))
    return ""


def ssh(state: dict[str, Any], *arguments: str) -> str:
    """Record key and known hosts of a push, and run it locally."""
    key = Path(arguments[arguments.index("-i") + 1])
    [hosts] = [argument.partition("=")[2] for argument in arguments if argument.startswith("UserKnownHostsFile=")]
    [host, command] = arguments[-2:]
    state["pushed"].append(
        {
            "key": key.read_text(),
            "mode": oct(key.stat().st_mode & 0o777),
            "hosts": Path(hosts).read_text().splitlines(),
            "strict": "StrictHostKeyChecking=yes" in arguments,
            "to": [host, command],
        }
    )
    _STATE.write_text(json.dumps(state))
    os.execvp("git", ["git", "receive-pack", state["origin"]])


def make(_: dict[str, Any], *arguments: str) -> str:
    assert arguments == ("dist",)
    Path("dist").mkdir()
    Path("dist", "autonoma_ci.tar.gz").write_text("sources")
    Path("dist", "autonoma_ci.whl").write_text("a wheel")
    return ""


def python(_: dict[str, Any], *arguments: str) -> str:
    assert arguments[:3] == ("-m", "pip", "install")
    program = Path(arguments[arguments.index("--target") + 1], "bin", "autonoma-ci")
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return ""


def _digest(*parts: str) -> str:
    return f"sha256:{hashlib.sha256(' '.join(parts).encode()).hexdigest()}"


def _join_images(state: dict[str, Any], parts: list[str]) -> str:
    """Create an index of these images, and return its digest."""
    if len(parts) == 1:
        return parts[0]
    digest = _digest(*parts)
    state["manifests"][digest] = {"parts": parts}
    return digest


def _find_digest(state: dict[str, Any], image: str) -> str:
    digest = image.partition("@")[2]
    if digest not in state["manifests"]:
        raise SystemExit(f"{image}: not found")
    return digest


def _apply_jq(response: Any, query: str) -> str:
    command = ["jq", "--raw-output", query]
    return subprocess.run(
        command, input=json.dumps(response), check=True, capture_output=True, text=True
    ).stdout.strip()


PROGRAMS = {"docker": docker, "gh": gh, "cosign": cosign, "ssh": ssh, "make": make, "python": python}


def main() -> None:
    program, *arguments = sys.argv[1:]
    state = json.loads(_STATE.read_text())
    call = {"where": os.environ["SIMULATED_JOB"], "program": program, "arguments": arguments}
    state["called"].append({**call, "epoch": os.environ.get("SOURCE_DATE_EPOCH")})
    if (command := f"{program} {' '.join(arguments[:2])}") in state["commands_to_fail"]:
        state["commands_to_fail"].remove(command)
        _STATE.write_text(json.dumps(state))
        raise SystemExit(f"{command}: fails on purpose")
    response = PROGRAMS[program](state, *arguments)
    _STATE.write_text(json.dumps(state))
    if response:
        sys.stdout.write(response + "\n")


if __name__ == "__main__":
    main()
