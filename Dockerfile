# One image for every use: GitHub's action, GitLab's job image, Jenkins' agent. A release names it by digest in
# action.yml; where the action is used from a branch, GitHub builds it in each job. So a build installs wheels and
# nothing else.
FROM python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b AS base

FROM base AS builder
# Hash order ends up in bytecode: fixed, so that the same sources give the same files.
ENV PYTHONHASHSEED=0
WORKDIR /build
COPY requirements.lock ./
# autonoma-ci reads packs, objects and names of references. So the image has no other modules of dulwich, such as its
# commands, clients and servers, and no plugin for mypy.
RUN python -m venv --without-pip /opt/autonoma-ci \
 && python -m pip --python /opt/autonoma-ci/bin/python install --no-cache-dir --disable-pip-version-check \
      --no-compile --no-deps --only-binary=:all: --require-hashes -r requirements.lock \
 && find /opt/autonoma-ci/lib/python3.*/site-packages/dulwich -mindepth 1 -maxdepth 1 \
      ! -regex '.*/\(__init__\|_typing\|errors\|file\|lru_cache\|object_format\|objects\|pack\|refs\)\.py' \
      ! -name '_objects.*' ! -name '_pack.*' -exec rm -r {} + \
 && rm /opt/autonoma-ci/bin/dul* /opt/autonoma-ci/lib/python3.*/site-packages/pydantic/mypy.py
COPY entrypoint.py LICENSE ./
COPY autonoma_ci autonoma_ci/
# Bytecode is never compared with its source: the files don't change, and any uid but root could not write it anew.
# The modes are set because a checkout brings those of its owner's umask.
RUN cp -R autonoma_ci "$(/opt/autonoma-ci/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && cp entrypoint.py LICENSE /opt/autonoma-ci \
 && /opt/autonoma-ci/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/autonoma-ci/lib \
 && chmod -R u=rwX,go=rX /opt/autonoma-ci \
 && chmod 0755 /opt/autonoma-ci/entrypoint.py

FROM base AS tree
COPY --from=builder /opt/autonoma-ci /opt/autonoma-ci
# When each file of ours was last changed, in seconds since 1970; a release takes the time of its commit.
ARG SOURCE_DATE_EPOCH=0
# /usr/local/bin is on every PATH, that of a login shell too, and our Python stays out of the user's way.
# The base image carries the standard library without bytecode: one import of everything leaves behind what we use.
# All that is new goes into one tree, with the folders that it is in, and has one time: then the same commit makes the
# same layer, whenever and wherever it is built.
RUN touch /before \
 && PYTHONHASHSEED=0 /opt/autonoma-ci/bin/python -P -c 'import importlib, pkgutil, autonoma_ci as app; \
      [importlib.import_module(m.name) for m in pkgutil.walk_packages(app.__path__, "autonoma_ci.")]' \
 && ln -s /opt/autonoma-ci/entrypoint.py /usr/local/bin/autonoma-ci \
 && mkdir /tree \
 && find /usr/lib /usr/local/lib -name '*.pyc' -newer /before -exec cp --parents -a -t /tree {} + \
 && cp --parents -a -t /tree /opt/autonoma-ci /usr/local/bin/autonoma-ci \
 && find /tree -exec touch -h -d "@${SOURCE_DATE_EPOCH}" {} +

FROM base
ARG VERSION=""
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="autonoma-ci" \
      org.opencontainers.image.description="Start Autonoma end-to-end tests from any CI system" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"
COPY --from=tree /tree/ /
# -I keeps the working directory, which is the user's checkout, and PYTHON* variables off the import path.
# No USER: GitHub's file commands and workspace are writable by root alone.
ENTRYPOINT ["/opt/autonoma-ci/bin/python", "-I", "/opt/autonoma-ci/entrypoint.py"]
