"""List the changed files of a clone as a job step does, in a process of its own."""

import sys

from autonoma_ci.app.changed_files import find_changed_files
from autonoma_ci.app.inputs import detect_ci
from autonoma_ci.clock import Clock
from autonoma_ci.config.settings import Settings

changed = find_changed_files(Settings(), detect_ci({}), {}, sys.argv[1], "autonoma.yml", Clock())
print(changed.summary.file_count)
